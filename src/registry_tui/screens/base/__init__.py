"""Parts that every screen is made of: the frame, lists, forms and dialogs."""
