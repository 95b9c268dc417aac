"""Parts that every rule of the service uses: the context, events, identity, paging, permissions, names."""
