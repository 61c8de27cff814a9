"""Operations of entities: user code in, outcomes out."""
