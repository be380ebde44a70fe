"""The benchmark suite: what each serving system does with the same work, and what the work itself costs."""
