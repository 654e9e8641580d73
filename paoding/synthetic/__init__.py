"""Synthetic inputs: priors, the choice of one, reweighting, matching of batch normalization."""
