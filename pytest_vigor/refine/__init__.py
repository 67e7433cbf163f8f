"""Proofs that a library's compiled functions do what their contracts say."""
