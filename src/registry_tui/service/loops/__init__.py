"""Work that the service repeats: its start, clean-up, supervision of replicas, and the stream."""
