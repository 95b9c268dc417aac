"""`python -m registry_tui` is the `registry-tui` command."""

from registry_tui.cli import main

if __name__ == "__main__":
    main()
