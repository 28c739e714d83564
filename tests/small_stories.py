"""A story for each thing that a reader may like, by hand: for the tests of readers and of judges."""
TALKS = 'Mia met a fox. "Hello," said Mia. "Good day," said the fox. Mia was happy.'
GIVES = "Mia had a kite. Mia gave the kite to Ben. Ben smiled."
RETURNS = "Ben took the kite. Then he gave the kite back to Mia."
COUNTS = "Ben had three nuts. He found four more. Now he had seven nuts. The sun went down on the hill."
SAD = "Mia lost the kite in the storm. It was gone. Mia wept."
DULL = "A fox saw a hill."
