"""Terms and their tf-idf rows, against scikit-learn's."""

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from sklearn_ext.text._terms import character_terms, term_matrix, word_terms

SENTENCES = ["The cat sat on the mat.", "A cat!", "Dogs ran to the cat, the dog too.", "???"]


def test_rows_are_those_of_tfidf_vectorizer():
    vectorizer = TfidfVectorizer(analyzer=word_terms)
    expected = vectorizer.fit_transform(SENTENCES).toarray()
    rows = term_matrix(word_terms(sentence) for sentence in SENTENCES)
    order = list(dict.fromkeys(term for s in SENTENCES for term in word_terms(s)))
    columns = [vectorizer.vocabulary_[term] for term in order]
    np.testing.assert_allclose(rows.toarray(), expected[:, columns], atol=1e-15)


def test_words_of_scripts():
    assert word_terms("L'été, 3rd_x") == ["l", "été", "3rd", "x"]
    assert word_terms("猫が寝る") == ["猫が", "が寝", "寝る"]
    assert word_terms("GPT모델은 좋다") == ["gpt", "모델", "델은", "좋다"]
    assert word_terms("물 . !") == ["물"]


def test_characters():
    assert character_terms("Ab  c d") == ["ab ", "b c", " c ", "c d"]
    assert character_terms("x") == ["x"]
    assert character_terms("가나", size=2) == ["가나"]
