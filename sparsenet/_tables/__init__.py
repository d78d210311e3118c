"""Tables as they come: numbers, categories and missing values, in one network."""
