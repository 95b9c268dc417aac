"""The Ray Serve application: its replicas start `registry_tui.serving` and pass requests to it.

It is uploaded to the cluster as a package with `contracts` and `serving`, so it imports only these, the standard
library, Ray Serve and its dependencies. The service never imports it.
"""
