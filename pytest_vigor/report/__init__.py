"""``--vigor-report``: what was found out in a session, as one page and as JSON.

``schema`` says what is told, ``gather`` finds it out where properties are judged, ``session`` collects it, from several
processes too, and ``page`` writes it down. ``terms``, ``coverage`` and ``picture`` are for people: conditions as one
would write them, code that no path reaches, and the paths as a tree.
"""
