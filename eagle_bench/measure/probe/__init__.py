"""Questions put to a pair beside the benchmark: is it read right, is it distributed right?"""
