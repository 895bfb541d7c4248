"""Attention kernels, masks and token reduction: host `scaled_dot_product_attention`, Triton."""
