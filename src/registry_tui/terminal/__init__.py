"""Light parts of the terminal program: actions, commands, preferences, keys typed before the first paint."""
