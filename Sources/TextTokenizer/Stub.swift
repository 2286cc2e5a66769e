// TextTokenizer
