"""Right answers written differently from the solution: a check must accept them all. One module a lesson."""
