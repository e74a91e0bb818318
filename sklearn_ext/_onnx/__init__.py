"""Fitted models as ONNX graphs, built from their arrays node by node; knows no torch."""
