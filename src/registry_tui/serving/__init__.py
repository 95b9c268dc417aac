"""The process that serves one replica of a deployment: MLflow's scoring protocol, with concurrent requests batched.

It runs in the model's own environment, so it imports only the standard library, uvicorn, orjson and the model's MLflow.
"""
