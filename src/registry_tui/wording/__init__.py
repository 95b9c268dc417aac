"""Words for values: the command line and the screens show the same ones."""
