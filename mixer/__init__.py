"""MLP-Mixer (Tolstikhin et al. 2021, arXiv 2105.01601): the network, its data, its training, its checkpoints."""
