// Code generated from protocol.json by internal/generate. DO NOT EDIT.

package userservice

import "context"

// Register starts a registration, and emails a code to the address.
func (c *Client) Register(ctx context.Context, request Register, options ...CallOption) (*Registered, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*Registered), nil
}

// Login opens a session.
func (c *Client) Login(ctx context.Context, request Login, options ...CallOption) (*LoggedIn, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*LoggedIn), nil
}

// VerifyToken checks whether an access token is valid now.
func (c *Client) VerifyToken(ctx context.Context, request VerifyToken, options ...CallOption) (*TokenVerified, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*TokenVerified), nil
}

// UpdateUser changes the username, the email address or the password.
func (c *Client) UpdateUser(ctx context.Context, request UpdateUser, options ...CallOption) (*UserUpdated, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*UserUpdated), nil
}

// DeleteUser deletes the account, and ends all its sessions.
func (c *Client) DeleteUser(ctx context.Context, request DeleteUser, options ...CallOption) (*UserDeleted, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*UserDeleted), nil
}

// VerifyEmail completes a registration, and opens a session.
func (c *Client) VerifyEmail(ctx context.Context, request VerifyEmail, options ...CallOption) (*EmailVerified, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*EmailVerified), nil
}

// ResendCode emails a code again.
func (c *Client) ResendCode(ctx context.Context, request ResendCode, options ...CallOption) (*CodeResent, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*CodeResent), nil
}

// RefreshToken exchanges a refresh token for new tokens of the same session.
func (c *Client) RefreshToken(ctx context.Context, request RefreshToken, options ...CallOption) (*TokenRefreshed, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*TokenRefreshed), nil
}

// Logout ends the session of a token, or all sessions of the user.
func (c *Client) Logout(ctx context.Context, request Logout, options ...CallOption) (*LoggedOut, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*LoggedOut), nil
}

// GetUser returns the account of a token.
func (c *Client) GetUser(ctx context.Context, request GetUser, options ...CallOption) (*User, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*User), nil
}

// RequestPasswordReset emails a code with which the password can be set.
func (c *Client) RequestPasswordReset(ctx context.Context, request RequestPasswordReset, options ...CallOption) (*PasswordResetRequested, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*PasswordResetRequested), nil
}

// ResetPassword sets the password, and ends all sessions.
func (c *Client) ResetPassword(ctx context.Context, request ResetPassword, options ...CallOption) (*PasswordReset, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*PasswordReset), nil
}

// ConfirmEmail completes a change of the email address.
func (c *Client) ConfirmEmail(ctx context.Context, request ConfirmEmail, options ...CallOption) (*EmailConfirmed, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*EmailConfirmed), nil
}

// ListSessions returns the open sessions of the user.
func (c *Client) ListSessions(ctx context.Context, request ListSessions, options ...CallOption) (*Sessions, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*Sessions), nil
}

// EndSession ends one session of the user.
func (c *Client) EndSession(ctx context.Context, request EndSession, options ...CallOption) (*SessionEnded, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*SessionEnded), nil
}

// GetKeys returns the public keys with which access tokens are signed.
func (c *Client) GetKeys(ctx context.Context, options ...CallOption) (*Keys, error) {
	reply, err := c.call(ctx, &GetKeys{}, options)
	if err != nil {
		return nil, err
	}
	return reply.(*Keys), nil
}

// WatchRevocations returns the revocations after a cursor. Use a Verifier instead.
func (c *Client) WatchRevocations(ctx context.Context, request WatchRevocations, options ...CallOption) (*Revocations, error) {
	reply, err := c.call(ctx, &request, options)
	if err != nil {
		return nil, err
	}
	return reply.(*Revocations), nil
}

// Ping checks that the server responds.
func (c *Client) Ping(ctx context.Context, options ...CallOption) (*Pong, error) {
	reply, err := c.call(ctx, &Ping{}, options)
	if err != nil {
		return nil, err
	}
	return reply.(*Pong), nil
}
