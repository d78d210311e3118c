"""Fitted estimators as something else: scikit-learn's models, ONNX, C."""
