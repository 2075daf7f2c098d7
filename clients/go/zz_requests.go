// Code generated from protocol.json by internal/generate. DO NOT EDIT.

package userservice

import "time"

// Register starts a registration, and emails a code to the address.
type Register struct {
	Username string `json:"username"`
	Email    string `json:"email"`
	Password Secret `json:"password"`
}

func (m *Register) appendFields(w *writer) {
	w.size("username", len(m.Username))
	w.text("username", m.Username)
	w.size("email", len(m.Email))
	w.text("email", m.Email)
	w.size("password", len(m.Password.raw()))
	w.raw(m.Password.raw())
}

func (m *Register) readFields(r *reader) {
	m.Username = r.text("username", r.sized("username"))
	m.Email = r.text("email", r.sized("email"))
	m.Password = NewSecret(string(r.sized("password")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoRegister = requestInfo{name: "Register", kind: 0x01, reply: 0x81, changes: true, hasSecret: true, retry: retryOnce}

func (m *Register) info() *requestInfo { return &infoRegister }

func (m *Register) hashes() bool { return true }

// Login opens a session.
type Login struct {
	Login    string  `json:"login"`
	Password Secret  `json:"password"`
	Device   *string `json:"device,omitempty"`
}

func (m *Login) appendFields(w *writer) {
	w.size("login", len(m.Login))
	w.text("login", m.Login)
	w.size("password", len(m.Password.raw()))
	w.raw(m.Password.raw())
	if m.Device != nil {
		w.tag(0x01, "device", len((*m.Device)))
		w.text("device", (*m.Device))
	}
}

func (m *Login) readFields(r *reader) {
	m.Login = r.text("login", r.sized("login"))
	m.Password = NewSecret(string(r.sized("password")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := r.text("device", value)
			m.Device = &read
		default:
			r.commonTag(tag, value)
		}
	}
}

var infoLogin = requestInfo{name: "Login", kind: 0x02, reply: 0x82, changes: true, hasSecret: true, retry: retryOnce}

func (m *Login) info() *requestInfo { return &infoLogin }

func (m *Login) hashes() bool { return true }

// VerifyToken checks whether an access token is valid now.
type VerifyToken struct {
	AccessToken Secret `json:"access_token"`
}

func (m *VerifyToken) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
}

func (m *VerifyToken) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoVerifyToken = requestInfo{name: "VerifyToken", kind: 0x03, reply: 0x83, changes: false, hasSecret: true, retry: retrySafe}

func (m *VerifyToken) info() *requestInfo { return &infoVerifyToken }

func (m *VerifyToken) hashes() bool { return false }

// UpdateUser changes the username, the email address or the password.
type UpdateUser struct {
	AccessToken     Secret  `json:"access_token"`
	Username        *string `json:"username,omitempty"`
	Email           *string `json:"email,omitempty"`
	NewPassword     *Secret `json:"new_password,omitempty"`
	CurrentPassword *Secret `json:"current_password,omitempty"`
}

func (m *UpdateUser) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	if m.Username != nil {
		w.tag(0x02, "username", len((*m.Username)))
		w.text("username", (*m.Username))
	}
	if m.Email != nil {
		w.tag(0x04, "email", len((*m.Email)))
		w.text("email", (*m.Email))
	}
	if m.NewPassword != nil {
		w.tag(0x06, "new_password", len((*m.NewPassword).raw()))
		w.raw((*m.NewPassword).raw())
	}
	if m.CurrentPassword != nil {
		w.tag(0x08, "current_password", len((*m.CurrentPassword).raw()))
		w.raw((*m.CurrentPassword).raw())
	}
}

func (m *UpdateUser) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x02:
			read := r.text("username", value)
			m.Username = &read
		case 0x04:
			read := r.text("email", value)
			m.Email = &read
		case 0x06:
			read := NewSecret(string(value))
			m.NewPassword = &read
		case 0x08:
			read := NewSecret(string(value))
			m.CurrentPassword = &read
		default:
			r.commonTag(tag, value)
		}
	}
}

var infoUpdateUser = requestInfo{name: "UpdateUser", kind: 0x04, reply: 0x84, changes: true, hasSecret: true, retry: retryOnce}

func (m *UpdateUser) info() *requestInfo { return &infoUpdateUser }

func (m *UpdateUser) hashes() bool { return m.Email != nil || m.NewPassword != nil }

// DeleteUser deletes the account, and ends all its sessions.
type DeleteUser struct {
	AccessToken     Secret `json:"access_token"`
	CurrentPassword Secret `json:"current_password"`
}

func (m *DeleteUser) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	w.size("current_password", len(m.CurrentPassword.raw()))
	w.raw(m.CurrentPassword.raw())
}

func (m *DeleteUser) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	m.CurrentPassword = NewSecret(string(r.sized("current_password")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoDeleteUser = requestInfo{name: "DeleteUser", kind: 0x05, reply: 0x85, changes: true, hasSecret: true, retry: retryOnce}

func (m *DeleteUser) info() *requestInfo { return &infoDeleteUser }

func (m *DeleteUser) hashes() bool { return true }

// VerifyEmail completes a registration, and opens a session.
type VerifyEmail struct {
	VerificationID UUID    `json:"verification_id"`
	Code           Secret  `json:"code"`
	Device         *string `json:"device,omitempty"`
	Username       *string `json:"username,omitempty"`
}

func (m *VerifyEmail) appendFields(w *writer) {
	w.raw(m.VerificationID[:])
	w.size("code", len(m.Code.raw()))
	w.raw(m.Code.raw())
	if m.Device != nil {
		w.tag(0x01, "device", len((*m.Device)))
		w.text("device", (*m.Device))
	}
	if m.Username != nil {
		w.tag(0x02, "username", len((*m.Username)))
		w.text("username", (*m.Username))
	}
}

func (m *VerifyEmail) readFields(r *reader) {
	m.VerificationID = UUID(r.asID("verification_id", r.take("verification_id", 16)))
	m.Code = NewSecret(string(r.sized("code")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x01:
			read := r.text("device", value)
			m.Device = &read
		case 0x02:
			read := r.text("username", value)
			m.Username = &read
		default:
			r.commonTag(tag, value)
		}
	}
}

var infoVerifyEmail = requestInfo{name: "VerifyEmail", kind: 0x06, reply: 0x86, changes: true, hasSecret: true, retry: retryOnce}

func (m *VerifyEmail) info() *requestInfo { return &infoVerifyEmail }

func (m *VerifyEmail) hashes() bool { return false }

// ResendCode emails a code again.
type ResendCode struct {
	VerificationID UUID `json:"verification_id"`
}

func (m *ResendCode) appendFields(w *writer) {
	w.raw(m.VerificationID[:])
}

func (m *ResendCode) readFields(r *reader) {
	m.VerificationID = UUID(r.asID("verification_id", r.take("verification_id", 16)))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoResendCode = requestInfo{name: "ResendCode", kind: 0x07, reply: 0x87, changes: true, hasSecret: false, retry: retryOnce}

func (m *ResendCode) info() *requestInfo { return &infoResendCode }

func (m *ResendCode) hashes() bool { return false }

// RefreshToken exchanges a refresh token for new tokens of the same session.
type RefreshToken struct {
	RefreshToken Secret `json:"refresh_token"`
}

func (m *RefreshToken) appendFields(w *writer) {
	w.size("refresh_token", len(m.RefreshToken.raw()))
	w.raw(m.RefreshToken.raw())
}

func (m *RefreshToken) readFields(r *reader) {
	m.RefreshToken = NewSecret(string(r.sized("refresh_token")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoRefreshToken = requestInfo{name: "RefreshToken", kind: 0x08, reply: 0x88, changes: true, hasSecret: true, retry: retrySafeForAWhile}

func (m *RefreshToken) info() *requestInfo { return &infoRefreshToken }

func (m *RefreshToken) hashes() bool { return false }

// Logout ends the session of a token, or all sessions of the user.
type Logout struct {
	Token       Secret `json:"token"`
	AllSessions bool   `json:"all_sessions,omitempty"`
}

func (m *Logout) appendFields(w *writer) {
	w.size("token", len(m.Token.raw()))
	w.raw(m.Token.raw())
	if m.AllSessions {
		w.tag(0x02, "all_sessions", 0)
	}
}

func (m *Logout) readFields(r *reader) {
	m.Token = NewSecret(string(r.sized("token")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		switch tag {
		case 0x02:
			m.AllSessions = r.exact("all_sessions", value, 0)
		default:
			r.commonTag(tag, value)
		}
	}
}

var infoLogout = requestInfo{name: "Logout", kind: 0x09, reply: 0x89, changes: true, hasSecret: true, retry: retryOnce}

func (m *Logout) info() *requestInfo { return &infoLogout }

func (m *Logout) hashes() bool { return false }

// GetUser returns the account of a token.
type GetUser struct {
	AccessToken Secret `json:"access_token"`
}

func (m *GetUser) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
}

func (m *GetUser) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoGetUser = requestInfo{name: "GetUser", kind: 0x0a, reply: 0x8a, changes: false, hasSecret: true, retry: retrySafe}

func (m *GetUser) info() *requestInfo { return &infoGetUser }

func (m *GetUser) hashes() bool { return false }

// RequestPasswordReset emails a code with which the password can be set.
type RequestPasswordReset struct {
	Email string `json:"email"`
}

func (m *RequestPasswordReset) appendFields(w *writer) {
	w.size("email", len(m.Email))
	w.text("email", m.Email)
}

func (m *RequestPasswordReset) readFields(r *reader) {
	m.Email = r.text("email", r.sized("email"))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoRequestPasswordReset = requestInfo{name: "RequestPasswordReset", kind: 0x0b, reply: 0x8b, changes: true, hasSecret: false, retry: retryOnce}

func (m *RequestPasswordReset) info() *requestInfo { return &infoRequestPasswordReset }

func (m *RequestPasswordReset) hashes() bool { return false }

// ResetPassword sets the password, and ends all sessions.
type ResetPassword struct {
	VerificationID UUID   `json:"verification_id"`
	Code           Secret `json:"code"`
	NewPassword    Secret `json:"new_password"`
}

func (m *ResetPassword) appendFields(w *writer) {
	w.raw(m.VerificationID[:])
	w.size("code", len(m.Code.raw()))
	w.raw(m.Code.raw())
	w.size("new_password", len(m.NewPassword.raw()))
	w.raw(m.NewPassword.raw())
}

func (m *ResetPassword) readFields(r *reader) {
	m.VerificationID = UUID(r.asID("verification_id", r.take("verification_id", 16)))
	m.Code = NewSecret(string(r.sized("code")))
	m.NewPassword = NewSecret(string(r.sized("new_password")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoResetPassword = requestInfo{name: "ResetPassword", kind: 0x0c, reply: 0x8c, changes: true, hasSecret: true, retry: retryOnce}

func (m *ResetPassword) info() *requestInfo { return &infoResetPassword }

func (m *ResetPassword) hashes() bool { return true }

// ConfirmEmail completes a change of the email address.
type ConfirmEmail struct {
	AccessToken    Secret `json:"access_token"`
	VerificationID UUID   `json:"verification_id"`
	Code           Secret `json:"code"`
}

func (m *ConfirmEmail) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	w.raw(m.VerificationID[:])
	w.size("code", len(m.Code.raw()))
	w.raw(m.Code.raw())
}

func (m *ConfirmEmail) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	m.VerificationID = UUID(r.asID("verification_id", r.take("verification_id", 16)))
	m.Code = NewSecret(string(r.sized("code")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoConfirmEmail = requestInfo{name: "ConfirmEmail", kind: 0x0d, reply: 0x8d, changes: true, hasSecret: true, retry: retryOnce}

func (m *ConfirmEmail) info() *requestInfo { return &infoConfirmEmail }

func (m *ConfirmEmail) hashes() bool { return false }

// ListSessions returns the open sessions of the user.
type ListSessions struct {
	AccessToken Secret `json:"access_token"`
}

func (m *ListSessions) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
}

func (m *ListSessions) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoListSessions = requestInfo{name: "ListSessions", kind: 0x0e, reply: 0x8e, changes: false, hasSecret: true, retry: retrySafe}

func (m *ListSessions) info() *requestInfo { return &infoListSessions }

func (m *ListSessions) hashes() bool { return false }

// EndSession ends one session of the user.
type EndSession struct {
	AccessToken Secret `json:"access_token"`
	SessionID   UUID   `json:"session_id"`
}

func (m *EndSession) appendFields(w *writer) {
	w.size("access_token", len(m.AccessToken.raw()))
	w.raw(m.AccessToken.raw())
	w.raw(m.SessionID[:])
}

func (m *EndSession) readFields(r *reader) {
	m.AccessToken = NewSecret(string(r.sized("access_token")))
	m.SessionID = UUID(r.asID("session_id", r.take("session_id", 16)))
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoEndSession = requestInfo{name: "EndSession", kind: 0x0f, reply: 0x8f, changes: true, hasSecret: true, retry: retryOnce}

func (m *EndSession) info() *requestInfo { return &infoEndSession }

func (m *EndSession) hashes() bool { return false }

// GetKeys returns the public keys with which access tokens are signed.
type GetKeys struct {
}

func (m *GetKeys) appendFields(_ *writer) {}

func (m *GetKeys) readFields(r *reader) {
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoGetKeys = requestInfo{name: "GetKeys", kind: 0x20, reply: 0xa0, changes: false, hasSecret: false, retry: retrySafe}

func (m *GetKeys) info() *requestInfo { return &infoGetKeys }

func (m *GetKeys) hashes() bool { return false }

// WatchRevocations returns the revocations after a cursor. Use a Verifier instead.
type WatchRevocations struct {
	Cursor []byte        `json:"cursor"`
	Wait   time.Duration `json:"wait_ms"`
}

func (m *WatchRevocations) appendFields(w *writer) {
	w.size("cursor", len(m.Cursor))
	w.raw(m.Cursor)
	w.duration("wait_ms", m.Wait, time.Millisecond)
}

func (m *WatchRevocations) readFields(r *reader) {
	m.Cursor = append([]byte{}, r.sized("cursor")...)
	m.Wait = time.Duration(r.asU32("wait_ms", r.take("wait_ms", 4))) * time.Millisecond
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoWatchRevocations = requestInfo{name: "WatchRevocations", kind: 0x21, reply: 0xa1, changes: false, hasSecret: false, retry: retrySafe}

func (m *WatchRevocations) info() *requestInfo { return &infoWatchRevocations }

func (m *WatchRevocations) hashes() bool { return false }

// Ping checks that the server responds.
type Ping struct {
}

func (m *Ping) appendFields(_ *writer) {}

func (m *Ping) readFields(r *reader) {
	for tag, value, ok := r.nextTag(); ok; tag, value, ok = r.nextTag() {
		r.commonTag(tag, value)
	}
}

var infoPing = requestInfo{name: "Ping", kind: 0x7f, reply: 0xff, changes: false, hasSecret: false, retry: retrySafe}

func (m *Ping) info() *requestInfo { return &infoPing }

func (m *Ping) hashes() bool { return false }

// common are the tags that any request may have.
type common struct {
	clientAddress  *string
	deadline       *time.Duration
	idempotencyKey *IdempotencyKey
	traceparent    *string
}

func (c *common) append(w *writer) {
	if c.clientAddress != nil {
		w.tag(0xe1, "client_address", len((*c.clientAddress)))
		w.address("client_address", (*c.clientAddress))
	}
	if c.deadline != nil {
		w.tag(0xe3, "deadline_ms", 4)
		w.duration("deadline_ms", (*c.deadline), time.Millisecond)
	}
	if c.idempotencyKey != nil {
		w.tag(0xe6, "idempotency_key", 16)
		w.raw((*c.idempotencyKey)[:])
	}
	if c.traceparent != nil {
		w.tag(0xe7, "traceparent", len((*c.traceparent)))
		w.text("traceparent", (*c.traceparent))
	}
}

func (r *reader) commonTag(tag byte, value []byte) {
	var c common
	if r.common != nil {
		c = *r.common
	}
	switch tag {
	case 0xe1:
		read := r.address("client_address", value)
		c.clientAddress = &read
	case 0xe3:
		read := time.Duration(r.asU32("deadline_ms", value)) * time.Millisecond
		c.deadline = &read
	case 0xe6:
		read := IdempotencyKey(r.asID("idempotency_key", value))
		c.idempotencyKey = &read
	case 0xe7:
		read := r.text("traceparent", value)
		c.traceparent = &read
	default:
		r.unknownTag(tag)
		return
	}
	r.common = &c
}
