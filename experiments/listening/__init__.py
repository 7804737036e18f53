"""The listening test (thesis 6.4.1, 8.2.4): clips, the page that plays them, and what the answers say."""
