"""Limits of what the run history may show."""

MIN_CELL_SIZE = 10  # steps, levels and categories with fewer rows are left out, so that no customer can be recognised
