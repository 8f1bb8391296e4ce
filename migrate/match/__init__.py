"""Finds which Linen leaf becomes which NNX leaf, from names, numbers, shapes and layer kinds alone."""
