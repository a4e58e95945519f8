"""Profile files: what stands in them as botocore reads it, which key that gives, and changing it byte by byte."""
