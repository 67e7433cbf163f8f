"""Makes the checkout's root importable in the tests; everything else is the plugin's."""
