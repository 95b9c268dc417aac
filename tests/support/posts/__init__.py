"""Every POST of the API as a call that a test can send twice."""
