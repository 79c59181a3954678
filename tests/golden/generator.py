"""What the golden scripts draw their cases with."""


class Generator:
    """Numerical Recipes' linear congruential generator: the same numbers with every Python."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state + 0.5) / 2**32

    def below(self, bound):
        return int(self.uniform() * bound)

    def among(self, choices):
        return choices[self.below(len(choices))]
