"""What is known before a run: its memory, traffic and compute, its schema, a first recipe, a fit machine.

The files that are used by commands which answer at once (``first_recipe``, ``json_schema``, ``launching``) import no
torch; those that plan a run do.
"""
