"""The training engine in plain torch: it knows tensors and modules, and no estimator."""
