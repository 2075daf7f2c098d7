package userservice

import (
	"crypto/sha256"
	"sync"
)

// cacheShards is the number of parts of the cache, each with a lock of its own.
const cacheShards = 32

type tokenDigest [sha256.Size]byte

// cachedToken is a token with a verified signature.
type cachedToken struct {
	claims claims
	// generation is that of the keys before the signature was verified.
	generation uint64
}

// tokenCache contains the tokens that were used last, by the SHA-256 of all their bytes. Each part
// has a young and an old half: when the young one is full, it becomes the old one.
type tokenCache struct {
	shards [cacheShards]cacheShard
	half   int
}

type cacheShard struct {
	mu         sync.Mutex
	young, old map[tokenDigest]cachedToken
}

func newTokenCache(capacity int) *tokenCache {
	half := capacity / cacheShards / 2
	if half < 1 {
		half = 1
	}
	return &tokenCache{half: half}
}

func (c *tokenCache) shard(digest *tokenDigest) *cacheShard {
	return &c.shards[digest[31]%cacheShards]
}

// get returns the claims of a token that was verified with keys of this generation.
func (c *tokenCache) get(digest *tokenDigest, generation uint64) (claims, bool) {
	shard := c.shard(digest)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	found, ok := shard.young[*digest]
	if !ok {
		if found, ok = shard.old[*digest]; ok && found.generation == generation {
			shard.insert(digest, found, c.half)
		}
	}
	return found.claims, ok && found.generation == generation
}

func (c *tokenCache) insert(digest *tokenDigest, token cachedToken) {
	shard := c.shard(digest)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.insert(digest, token, c.half)
}

func (s *cacheShard) insert(digest *tokenDigest, token cachedToken, half int) {
	if len(s.young) >= half {
		s.old, s.young = s.young, nil
	}
	if s.young == nil {
		s.young = map[tokenDigest]cachedToken{}
	}
	s.young[*digest] = token
}

func (c *tokenCache) clear() {
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		shard.young, shard.old = nil, nil
		shard.mu.Unlock()
	}
}

func (c *tokenCache) count() int {
	count := 0
	for i := range c.shards {
		shard := &c.shards[i]
		shard.mu.Lock()
		count += len(shard.young)
		for digest := range shard.old {
			if _, isYoung := shard.young[digest]; !isYoung {
				count++
			}
		}
		shard.mu.Unlock()
	}
	return count
}
