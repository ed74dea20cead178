"""A small studio in numpy: shapes, glazes, light, a path tracer, and how its pictures are developed."""
