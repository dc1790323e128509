"""The tab inside the Kohya GUI and the standalone page: how it gets in, what it shows.

Nothing is re-exported here: the launcher is imported by Kohya's own Python before gradio is.
"""
