// Priors
