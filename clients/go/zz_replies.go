// Code generated from protocol.json by internal/generate. DO NOT EDIT.

package userservice

import "time"

// errorReply is the reply to a request that was not executed.
type errorReply struct {
	Code       ErrorCode      `json:"code"`
	Message    string         `json:"message"`
	RetryAfter *time.Duration `json:"retry_after_ms,omitempty"`
	Field      *string        `json:"field,omitempty"`
}

func (m *errorReply) appendFields(w *writer) {
	w.u16(uint16(m.Code))
	w.size("message", len(m.Message))
	w.text("message", m.Message)
	if m.RetryAfter != nil {
		w.tag(0x01, "retry_after_ms", 4)
		w.duration("retry_after_ms", (*m.RetryAfter), time.Millisecond)
	}
	if m.Field != nil {
		w.tag(0x03, "field", len((*m.Field)))
		w.text("field", (*m.Field))
	}
}

func (m *errorReply) readFields(r *reader) {
	m.Code = ErrorCode(r.asU16("code", r.take("code", 2)))
	m.Message = r.text("message", r.sized("message"))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := time.Duration(r.asU32("retry_after_ms", value)) * time.Millisecond
			m.RetryAfter = &read
		case 0x03:
			read := r.text("field", value)
			m.Field = &read
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *errorReply) kind() byte { return 0x80 }

// Registered is the reply to Register.
type Registered struct {
	VerificationID UUID          `json:"verification_id"`
	CodeExpiresIn  time.Duration `json:"code_expires_in"`
	ResendAfter    time.Duration `json:"resend_after"`
}

func (m *Registered) appendFields(w *writer) {
	w.raw(m.VerificationID[:])
	w.duration("code_expires_in", m.CodeExpiresIn, time.Second)
	w.duration("resend_after", m.ResendAfter, time.Second)
}

func (m *Registered) readFields(r *reader) {
	m.VerificationID = UUID(r.asID("verification_id", r.take("verification_id", 16)))
	m.CodeExpiresIn = time.Duration(r.asU32("code_expires_in", r.take("code_expires_in", 4))) * time.Second
	m.ResendAfter = time.Duration(r.asU32("resend_after", r.take("resend_after", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *Registered) kind() byte { return 0x81 }

// LoggedIn is the reply to Login.
type LoggedIn struct {
	UserID           UUID          `json:"user_id"`
	SessionID        UUID          `json:"session_id"`
	AccessToken      Secret        `json:"access_token"`
	AccessExpiresIn  time.Duration `json:"access_expires_in"`
	RefreshToken     Secret        `json:"refresh_token"`
	RefreshExpiresIn time.Duration `json:"refresh_expires_in"`
}

func (m *LoggedIn) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.raw(m.SessionID[:])
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	w.duration("access_expires_in", m.AccessExpiresIn, time.Second)
	w.size("refresh_token", len(m.RefreshToken.raw()))
	w.raw(m.RefreshToken.raw())
	w.duration("refresh_expires_in", m.RefreshExpiresIn, time.Second)
}

func (m *LoggedIn) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.SessionID = UUID(r.asID("session_id", r.take("session_id", 16)))
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	m.AccessExpiresIn = time.Duration(r.asU32("access_expires_in", r.take("access_expires_in", 4))) * time.Second
	m.RefreshToken = NewSecret(string(r.sized("refresh_token")))
	m.RefreshExpiresIn = time.Duration(r.asU32("refresh_expires_in", r.take("refresh_expires_in", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *LoggedIn) kind() byte { return 0x82 }

// TokenVerified is the reply to VerifyToken.
type TokenVerified struct {
	UserID    UUID           `json:"user_id"`
	SessionID UUID           `json:"session_id"`
	IssuedAt  time.Time      `json:"issued_at"`
	ExpiresAt time.Time      `json:"expires_at"`
	Stale     *time.Duration `json:"stale_ms,omitempty"`
}

func (m *TokenVerified) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.raw(m.SessionID[:])
	w.instant("issued_at", m.IssuedAt.Unix())
	w.instant("expires_at", m.ExpiresAt.Unix())
	if m.Stale != nil {
		w.tag(0x01, "stale_ms", 4)
		w.duration("stale_ms", (*m.Stale), time.Millisecond)
	}
}

func (m *TokenVerified) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.SessionID = UUID(r.asID("session_id", r.take("session_id", 16)))
	m.IssuedAt = time.Unix(r.asInstant("issued_at", r.take("issued_at", 8)), 0).UTC()
	m.ExpiresAt = time.Unix(r.asInstant("expires_at", r.take("expires_at", 8)), 0).UTC()
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := time.Duration(r.asU32("stale_ms", value)) * time.Millisecond
			m.Stale = &read
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *TokenVerified) kind() byte { return 0x83 }

// UserUpdated is the reply to UpdateUser.
type UserUpdated struct {
	UserID         UUID   `json:"user_id"`
	Username       string `json:"username"`
	Email          string `json:"email"`
	VerificationID *UUID  `json:"verification_id,omitempty"`
}

func (m *UserUpdated) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.size("username", len(m.Username))
	w.text("username", m.Username)
	w.size("email", len(m.Email))
	w.text("email", m.Email)
	if m.VerificationID != nil {
		w.tag(0x01, "verification_id", 16)
		w.raw((*m.VerificationID)[:])
	}
}

func (m *UserUpdated) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.Username = r.text("username", r.sized("username"))
	m.Email = r.text("email", r.sized("email"))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := UUID(r.asID("verification_id", value))
			m.VerificationID = &read
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *UserUpdated) kind() byte { return 0x84 }

// UserDeleted is the reply to DeleteUser.
type UserDeleted struct {
	UserID UUID `json:"user_id"`
}

func (m *UserDeleted) appendFields(w *writer) {
	w.raw(m.UserID[:])
}

func (m *UserDeleted) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *UserDeleted) kind() byte { return 0x85 }

// EmailVerified is the reply to VerifyEmail.
type EmailVerified struct {
	UserID           UUID          `json:"user_id"`
	SessionID        UUID          `json:"session_id"`
	AccessToken      Secret        `json:"access_token"`
	AccessExpiresIn  time.Duration `json:"access_expires_in"`
	RefreshToken     Secret        `json:"refresh_token"`
	RefreshExpiresIn time.Duration `json:"refresh_expires_in"`
}

func (m *EmailVerified) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.raw(m.SessionID[:])
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	w.duration("access_expires_in", m.AccessExpiresIn, time.Second)
	w.size("refresh_token", len(m.RefreshToken.raw()))
	w.raw(m.RefreshToken.raw())
	w.duration("refresh_expires_in", m.RefreshExpiresIn, time.Second)
}

func (m *EmailVerified) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.SessionID = UUID(r.asID("session_id", r.take("session_id", 16)))
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	m.AccessExpiresIn = time.Duration(r.asU32("access_expires_in", r.take("access_expires_in", 4))) * time.Second
	m.RefreshToken = NewSecret(string(r.sized("refresh_token")))
	m.RefreshExpiresIn = time.Duration(r.asU32("refresh_expires_in", r.take("refresh_expires_in", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *EmailVerified) kind() byte { return 0x86 }

// CodeResent is the reply to ResendCode.
type CodeResent struct {
	CodeExpiresIn time.Duration `json:"code_expires_in"`
	ResendAfter   time.Duration `json:"resend_after"`
}

func (m *CodeResent) appendFields(w *writer) {
	w.duration("code_expires_in", m.CodeExpiresIn, time.Second)
	w.duration("resend_after", m.ResendAfter, time.Second)
}

func (m *CodeResent) readFields(r *reader) {
	m.CodeExpiresIn = time.Duration(r.asU32("code_expires_in", r.take("code_expires_in", 4))) * time.Second
	m.ResendAfter = time.Duration(r.asU32("resend_after", r.take("resend_after", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *CodeResent) kind() byte { return 0x87 }

// TokenRefreshed is the reply to RefreshToken.
type TokenRefreshed struct {
	UserID           UUID          `json:"user_id"`
	SessionID        UUID          `json:"session_id"`
	AccessToken      Secret        `json:"access_token"`
	AccessExpiresIn  time.Duration `json:"access_expires_in"`
	RefreshToken     Secret        `json:"refresh_token"`
	RefreshExpiresIn time.Duration `json:"refresh_expires_in"`
}

func (m *TokenRefreshed) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.raw(m.SessionID[:])
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	w.duration("access_expires_in", m.AccessExpiresIn, time.Second)
	w.size("refresh_token", len(m.RefreshToken.raw()))
	w.raw(m.RefreshToken.raw())
	w.duration("refresh_expires_in", m.RefreshExpiresIn, time.Second)
}

func (m *TokenRefreshed) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.SessionID = UUID(r.asID("session_id", r.take("session_id", 16)))
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	m.AccessExpiresIn = time.Duration(r.asU32("access_expires_in", r.take("access_expires_in", 4))) * time.Second
	m.RefreshToken = NewSecret(string(r.sized("refresh_token")))
	m.RefreshExpiresIn = time.Duration(r.asU32("refresh_expires_in", r.take("refresh_expires_in", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *TokenRefreshed) kind() byte { return 0x88 }

// LoggedOut is the reply to Logout.
type LoggedOut struct {
	SessionsEnded uint32 `json:"sessions_ended"`
}

func (m *LoggedOut) appendFields(w *writer) {
	w.u32(m.SessionsEnded)
}

func (m *LoggedOut) readFields(r *reader) {
	m.SessionsEnded = r.asU32("sessions_ended", r.take("sessions_ended", 4))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *LoggedOut) kind() byte { return 0x89 }

// User is the reply to GetUser.
type User struct {
	UserID    UUID      `json:"user_id"`
	Username  string    `json:"username"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"created_at"`
}

func (m *User) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.size("username", len(m.Username))
	w.text("username", m.Username)
	w.size("email", len(m.Email))
	w.text("email", m.Email)
	w.instant("created_at", m.CreatedAt.Unix())
}

func (m *User) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.Username = r.text("username", r.sized("username"))
	m.Email = r.text("email", r.sized("email"))
	m.CreatedAt = time.Unix(r.asInstant("created_at", r.take("created_at", 8)), 0).UTC()
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *User) kind() byte { return 0x8a }

// PasswordResetRequested is the reply to RequestPasswordReset.
type PasswordResetRequested struct {
	VerificationID UUID          `json:"verification_id"`
	CodeExpiresIn  time.Duration `json:"code_expires_in"`
	ResendAfter    time.Duration `json:"resend_after"`
}

func (m *PasswordResetRequested) appendFields(w *writer) {
	w.raw(m.VerificationID[:])
	w.duration("code_expires_in", m.CodeExpiresIn, time.Second)
	w.duration("resend_after", m.ResendAfter, time.Second)
}

func (m *PasswordResetRequested) readFields(r *reader) {
	m.VerificationID = UUID(r.asID("verification_id", r.take("verification_id", 16)))
	m.CodeExpiresIn = time.Duration(r.asU32("code_expires_in", r.take("code_expires_in", 4))) * time.Second
	m.ResendAfter = time.Duration(r.asU32("resend_after", r.take("resend_after", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *PasswordResetRequested) kind() byte { return 0x8b }

// PasswordReset is the reply to ResetPassword.
type PasswordReset struct {
	SessionsEnded uint32 `json:"sessions_ended"`
}

func (m *PasswordReset) appendFields(w *writer) {
	w.u32(m.SessionsEnded)
}

func (m *PasswordReset) readFields(r *reader) {
	m.SessionsEnded = r.asU32("sessions_ended", r.take("sessions_ended", 4))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *PasswordReset) kind() byte { return 0x8c }

// EmailConfirmed is the reply to ConfirmEmail.
type EmailConfirmed struct {
	UserID         UUID   `json:"user_id"`
	Username       string `json:"username"`
	Email          string `json:"email"`
	VerificationID *UUID  `json:"verification_id,omitempty"`
}

func (m *EmailConfirmed) appendFields(w *writer) {
	w.raw(m.UserID[:])
	w.size("username", len(m.Username))
	w.text("username", m.Username)
	w.size("email", len(m.Email))
	w.text("email", m.Email)
	if m.VerificationID != nil {
		w.tag(0x01, "verification_id", 16)
		w.raw((*m.VerificationID)[:])
	}
}

func (m *EmailConfirmed) readFields(r *reader) {
	m.UserID = UUID(r.asID("user_id", r.take("user_id", 16)))
	m.Username = r.text("username", r.sized("username"))
	m.Email = r.text("email", r.sized("email"))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := UUID(r.asID("verification_id", value))
			m.VerificationID = &read
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *EmailConfirmed) kind() byte { return 0x8d }

// Sessions is the reply to ListSessions.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

func (m *Sessions) appendFields(w *writer) {
	w.size("sessions", len(m.Sessions))
	for i := range m.Sessions {
		w.row("sessions", &m.Sessions[i])
	}
}

func (m *Sessions) readFields(r *reader) {
	r.rows("sessions", func(r *reader) {
		var row Session
		row.readFields(r)
		m.Sessions = append(m.Sessions, row)
	})
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

// Session is a row of Sessions.
type Session struct {
	SessionID  UUID      `json:"session_id"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	Device     *string   `json:"device,omitempty"`
	Network    *string   `json:"network,omitempty"`
	Current    bool      `json:"current,omitempty"`
}

func (m *Session) appendFields(w *writer) {
	w.raw(m.SessionID[:])
	w.instant("created_at", m.CreatedAt.Unix())
	w.instant("last_used_at", m.LastUsedAt.Unix())
	if m.Device != nil {
		w.tag(0x01, "device", len((*m.Device)))
		w.text("device", (*m.Device))
	}
	if m.Network != nil {
		w.tag(0x03, "network", len((*m.Network)))
		w.text("network", (*m.Network))
	}
	if m.Current {
		w.tag(0x05, "current", 0)
	}
}

func (m *Session) readFields(r *reader) {
	m.SessionID = UUID(r.asID("session_id", r.take("session_id", 16)))
	m.CreatedAt = time.Unix(r.asInstant("created_at", r.take("created_at", 8)), 0).UTC()
	m.LastUsedAt = time.Unix(r.asInstant("last_used_at", r.take("last_used_at", 8)), 0).UTC()
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := r.text("device", value)
			m.Device = &read
		case 0x03:
			read := r.text("network", value)
			m.Network = &read
		case 0x05:
			m.Current = r.exact("current", value, 0)
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *Sessions) kind() byte { return 0x8e }

// SessionEnded is the reply to EndSession.
type SessionEnded struct {
	SessionsEnded uint32 `json:"sessions_ended"`
}

func (m *SessionEnded) appendFields(w *writer) {
	w.u32(m.SessionsEnded)
}

func (m *SessionEnded) readFields(r *reader) {
	m.SessionsEnded = r.asU32("sessions_ended", r.take("sessions_ended", 4))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *SessionEnded) kind() byte { return 0x8f }

// Keys is the reply to GetKeys.
type Keys struct {
	JWKS         string        `json:"jwks"`
	AccessLife   time.Duration `json:"access_life"`
	RefreshAfter time.Duration `json:"refresh_after"`
	Now          *time.Time    `json:"now_ms,omitempty"`
}

func (m *Keys) appendFields(w *writer) {
	w.size("jwks", len(m.JWKS))
	w.text("jwks", m.JWKS)
	w.duration("access_life", m.AccessLife, time.Second)
	w.duration("refresh_after", m.RefreshAfter, time.Second)
	if m.Now != nil {
		w.tag(0x01, "now_ms", 8)
		w.instant("now_ms", (*m.Now).UnixMilli())
	}
}

func (m *Keys) readFields(r *reader) {
	m.JWKS = r.text("jwks", r.sized("jwks"))
	m.AccessLife = time.Duration(r.asU32("access_life", r.take("access_life", 4))) * time.Second
	m.RefreshAfter = time.Duration(r.asU32("refresh_after", r.take("refresh_after", 4))) * time.Second
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := time.UnixMilli(r.asInstant("now_ms", value)).UTC()
			m.Now = &read
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *Keys) kind() byte { return 0xa0 }

// Revocations is the reply to WatchRevocations.
type Revocations struct {
	Cursor  []byte        `json:"cursor"`
	Stale   time.Duration `json:"stale_ms"`
	More    uint8         `json:"more"`
	Now     time.Time     `json:"now_ms"`
	Entries []Revocation  `json:"entries"`
}

func (m *Revocations) appendFields(w *writer) {
	w.size("cursor", len(m.Cursor))
	w.raw(m.Cursor)
	w.duration("stale_ms", m.Stale, time.Millisecond)
	w.u8(m.More)
	w.instant("now_ms", m.Now.UnixMilli())
	w.size("entries", len(m.Entries))
	for i := range m.Entries {
		w.row("entries", &m.Entries[i])
	}
}

func (m *Revocations) readFields(r *reader) {
	m.Cursor = append([]byte{}, r.sized("cursor")...)
	m.Stale = time.Duration(r.asU32("stale_ms", r.take("stale_ms", 4))) * time.Millisecond
	m.More = r.asU8("more", r.take("more", 1))
	m.Now = time.UnixMilli(r.asInstant("now_ms", r.take("now_ms", 8))).UTC()
	r.rows("entries", func(r *reader) {
		var row Revocation
		row.readFields(r)
		m.Entries = append(m.Entries, row)
	})
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

// Revocation is a row of Revocations.
type Revocation struct {
	Kind   uint8     `json:"kind"`
	ID     []byte    `json:"id"`
	Before time.Time `json:"before"`
}

func (m *Revocation) appendFields(w *writer) {
	w.u8(m.Kind)
	w.size("id", len(m.ID))
	w.raw(m.ID)
	w.instant("before", m.Before.Unix())
}

func (m *Revocation) readFields(r *reader) {
	m.Kind = r.asU8("kind", r.take("kind", 1))
	m.ID = append([]byte{}, r.sized("id")...)
	m.Before = time.Unix(r.asInstant("before", r.take("before", 8)), 0).UTC()
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		_ = value
		r.unknownTag(tag)
	}
}

func (m *Revocations) kind() byte { return 0xa1 }

// Pong is the reply to Ping.
type Pong struct {
	MaxInFlight *uint32        `json:"max_in_flight,omitempty"`
	IdleTimeout *time.Duration `json:"idle_timeout,omitempty"`
	MaxHashing  *uint32        `json:"max_hashing,omitempty"`
}

func (m *Pong) appendFields(w *writer) {
	if m.MaxInFlight != nil {
		w.tag(0x01, "max_in_flight", 4)
		w.u32((*m.MaxInFlight))
	}
	if m.IdleTimeout != nil {
		w.tag(0x03, "idle_timeout", 4)
		w.duration("idle_timeout", (*m.IdleTimeout), time.Second)
	}
	if m.MaxHashing != nil {
		w.tag(0x05, "max_hashing", 4)
		w.u32((*m.MaxHashing))
	}
}

func (m *Pong) readFields(r *reader) {
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := r.asU32("max_in_flight", value)
			m.MaxInFlight = &read
		case 0x03:
			read := time.Duration(r.asU32("idle_timeout", value)) * time.Second
			m.IdleTimeout = &read
		case 0x05:
			read := r.asU32("max_hashing", value)
			m.MaxHashing = &read
		default:
			r.unknownTag(tag)
		}
	}
}

func (m *Pong) kind() byte { return 0xff }

// newReply returns an empty reply of a type.
func newReply(kind byte) replyMessage {
	switch kind {
	case 0x81:
		return new(Registered)
	case 0x82:
		return new(LoggedIn)
	case 0x83:
		return new(TokenVerified)
	case 0x84:
		return new(UserUpdated)
	case 0x85:
		return new(UserDeleted)
	case 0x86:
		return new(EmailVerified)
	case 0x87:
		return new(CodeResent)
	case 0x88:
		return new(TokenRefreshed)
	case 0x89:
		return new(LoggedOut)
	case 0x8a:
		return new(User)
	case 0x8b:
		return new(PasswordResetRequested)
	case 0x8c:
		return new(PasswordReset)
	case 0x8d:
		return new(EmailConfirmed)
	case 0x8e:
		return new(Sessions)
	case 0x8f:
		return new(SessionEnded)
	case 0xa0:
		return new(Keys)
	case 0xa1:
		return new(Revocations)
	case 0xff:
		return new(Pong)
	}
	return new(errorReply)
}
