"""MLflow elsewhere: stock servers and clients keep their registered models in a Model Registry of this product.

Works with MLflow 2.9 and newer in an installation without the platform.
"""
