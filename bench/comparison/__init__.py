"""What bench/peers and bench/compare are made of."""
