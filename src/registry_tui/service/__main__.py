"""`python -m registry_tui.service`: serves the REST API on the home's unix socket until SIGTERM or SIGINT."""

from registry_tui.contracts.garbage import lasting

if __name__ == "__main__":
    with lasting():
        from registry_tui.service.running import main
    main()
