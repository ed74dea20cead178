"""A small studio in numpy: shapes, glazes, light, a path tracer and what happens to its pictures afterwards."""
