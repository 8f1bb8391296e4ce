"""Training programs: model, parameters, state and optimizer followed through functions, and written as NNX has them."""
