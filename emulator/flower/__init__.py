"""The seam to Flower: loading an app, message sizes, the protocol's timing, and a Grid in virtual time."""
