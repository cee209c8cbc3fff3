"""Migrations: how the tables of the database became what they are, step by step, for Alembic.

`env` runs the steps on a connection that is handed in, `versions` holds them: one file each, `NUMBER_what_it_does.py`,
whose number is its identity. A revision that was released does not change any more.
"""
