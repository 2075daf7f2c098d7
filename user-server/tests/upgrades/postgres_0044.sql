--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: _sqlx_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


--
-- Name: audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit (
    id uuid NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    user_id uuid,
    session_id uuid,
    subject bytea,
    detail text NOT NULL,
    operator text,
    network text,
    salt bytea,
    dedup bytea,
    seq bigint,
    commitment bytea,
    hash bytea,
    kid text,
    mac bytea
);


--
-- Name: audit_chain; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit_chain (
    id bigint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    anchor_seq bigint NOT NULL,
    anchor_hash bytea NOT NULL,
    kid text,
    mac bytea,
    holder uuid,
    leased_until bigint NOT NULL,
    CONSTRAINT audit_chain_id_check CHECK ((id = 1))
);


--
-- Name: counters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.counters (
    key bytea NOT NULL,
    count bigint NOT NULL,
    since bigint NOT NULL,
    blocked_until bigint NOT NULL,
    expires_at bigint NOT NULL
);


--
-- Name: erased_revocations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.erased_revocations (
    id bigint NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT erased_revocations_id_check CHECK ((id = 1))
);


--
-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_keys (
    key uuid NOT NULL,
    kid text NOT NULL,
    request bytea NOT NULL,
    holder uuid NOT NULL,
    expires_at bigint NOT NULL,
    done_at bigint,
    user_id uuid,
    verification_id uuid,
    session_id uuid,
    session_kid text,
    session_created_at bigint,
    session_rotated_at bigint,
    number bigint DEFAULT 0 NOT NULL,
    node uuid
);


--
-- Name: known_networks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.known_networks (
    user_id uuid NOT NULL,
    client text NOT NULL,
    opened_at bigint NOT NULL
);


--
-- Name: mail_clients; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.mail_clients (
    client text NOT NULL,
    rank bigint NOT NULL
);


--
-- Name: mail_turns; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.mail_turns (
    budget_key text NOT NULL,
    letter text NOT NULL,
    next_at bigint NOT NULL,
    waiting bigint NOT NULL,
    noticed_at bigint,
    rank bigint DEFAULT 0 NOT NULL,
    notice bigint DEFAULT 0 NOT NULL,
    budget_at bigint DEFAULT 0 NOT NULL
);


--
-- Name: nodes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.nodes (
    id uuid NOT NULL,
    seen_at bigint NOT NULL
);


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    id uuid NOT NULL,
    letter text NOT NULL,
    verification_id uuid,
    budget_key text,
    client text NOT NULL,
    recipient text,
    username text,
    generation bigint,
    attempts bigint DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    turn_at bigint,
    due_at bigint NOT NULL,
    settled_at bigint,
    rank bigint DEFAULT 0 NOT NULL,
    failed_at bigint,
    failed_domain text,
    unexplained bigint DEFAULT 0 NOT NULL,
    delivered bigint DEFAULT 0 NOT NULL
);


--
-- Name: retired_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.retired_keys (
    kid text NOT NULL,
    retired_at bigint NOT NULL
);


--
-- Name: revocations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.revocations (
    seq bigint NOT NULL,
    subject uuid NOT NULL,
    at bigint NOT NULL,
    kind smallint
);


--
-- Name: revocations_seq_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.revocations ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.revocations_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    counter bigint DEFAULT 0 NOT NULL,
    kid text NOT NULL,
    created_at bigint NOT NULL,
    rotated_at bigint NOT NULL,
    device text,
    network text,
    refreshes bigint DEFAULT 0 NOT NULL,
    refreshes_since bigint DEFAULT 0 NOT NULL
);


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id uuid NOT NULL,
    username text NOT NULL,
    username_key text NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL,
    mailbox text NOT NULL,
    password_hash text NOT NULL,
    credentials bigint DEFAULT 1 NOT NULL,
    disabled_at bigint,
    created_at bigint NOT NULL,
    hash_class text,
    version bigint DEFAULT 1 NOT NULL,
    changed_at bigint
);


--
-- Name: verifications; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.verifications (
    id uuid NOT NULL,
    purpose text NOT NULL,
    user_id uuid,
    username text,
    username_key text,
    email text NOT NULL,
    email_key text NOT NULL,
    mailbox text NOT NULL,
    budget_key text NOT NULL,
    password_hash text,
    dead bigint NOT NULL,
    kid text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    guesses bigint DEFAULT 0 NOT NULL,
    claimed_at bigint,
    expires_at bigint,
    created_at bigint NOT NULL,
    requested_at bigint,
    resends bigint DEFAULT 0 NOT NULL,
    client text,
    CONSTRAINT verifications_purpose_check CHECK ((purpose = ANY (ARRAY['registration'::text, 'email_change'::text, 'password_reset'::text])))
);


--
-- Data for Name: _sqlx_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public._sqlx_migrations VALUES
	(1, 'accounts', '2026-11-28 17:29:42.963947+00', true, '\x545cd739cf9af9a98163a2f40a0033a202f6bbda59cdd240ce7526134fc9ab2d3f79cc958dc0b1dadd62a1d0639006cf', 13544352),
	(2, 'hash class', '2026-11-28 17:29:42.978356+00', true, '\xb131d008047859c5c0b990dfe78a4c307da64dd4492fd849e4876b7d6577724a8fd6c2d32186735fce95a0ba4c4450a8', 818119),
	(3, 'versions', '2026-11-28 17:29:42.979173+00', true, '\x5401cf737522c0d71173ea77a4070943dde661cc82f5830a2028d901b0929415a2f8c66933b34d8a19b1e6ed95854815', 767281),
	(4, 'audit', '2026-11-28 17:29:42.98004+00', true, '\x312dac0318909c694d98d4d3248a4ba22a9383c9aa3561cb0541fcb7dee50e22cfa34849041b310ec68cdb263f966180', 3775275),
	(6, 'retired keys', '2026-11-28 17:29:42.983953+00', true, '\xc33a7fad0910d2317d03b41f45e1cb1bc356dae703efd3000b864fa19794cdabb56c1df956507b93eeba3e322a7e35f6', 1074098),
	(7, 'mail turns by age', '2026-11-28 17:29:42.985136+00', true, '\x288c2d33413ae55a2403bcc6765d8805236bf639f6c631936154829cd3e8116cd18f2c44e800c110c075b3c987388f0e', 703997),
	(8, 'idempotency', '2026-11-28 17:29:42.985936+00', true, '\xf7cc0d6cd0c08b75b86acd1048a5e4a1e31bd30f979a33ebab251047b216f301776dc3b7692d3d0fd590fb34b4834bda', 1564997),
	(9, 'session device', '2026-11-28 17:29:42.987578+00', true, '\xe330941dc63784beea24191d29b0c7edc3275a83c3ea6857570cb92d63740b060163a601d1797182dc845ae0643ed4ea', 338533),
	(10, 'session network', '2026-11-28 17:29:42.987961+00', true, '\x5dcfef488e526c529f78b380b7c21a338475c1914fac4fb3c38509675762b622521d1d062526142b63a2bfc00874032a', 281601),
	(21, 'verification schedule', '2026-11-28 17:29:42.988289+00', true, '\x0a4e74b87eeac3325cea592e897ca44763e8e0cefc0676194f3901049959009a952ff325dcc44e47c09e035af133c4fd', 356410),
	(22, 'verifications by client', '2026-11-28 17:29:42.988699+00', true, '\xb8eae3348f693704dad9876f2b81b6061c752386332229673cdd7dd3938c1ff854dc984255422e245faaebbb3377bac9', 797737),
	(23, 'outbox attempts', '2026-11-28 17:29:42.989574+00', true, '\x7ad966a019fa72d90fe9f88e5752f2d28c1e151c338965b2b51ff4c3064888b727a5186a670485b70cecfd331617e15f', 507830),
	(24, 'outbox failed', '2026-11-28 17:29:42.990139+00', true, '\x3eb9d4920307efd8244bc938f2d4fdf09f7311a66a1e17acef477ac068cc8fb8d6b2db1e8cc6c304fe94190ec7b9bdd4', 543194),
	(25, 'outbox delivered', '2026-11-28 17:29:42.990737+00', true, '\x4aba1c3d82886b92614344211034049726694e12c2dd6ef55d0023bc61ed920b464df122190960bf7790393a14eee7d2', 716169),
	(26, 'mail slot order', '2026-11-28 17:29:42.991526+00', true, '\x0f482098ecda2c4944dba09401fbc8bb8fcf88194c4b855314eaaaa9f620f7f28502c0badb6ed0494cde191b76e0e74b', 388175),
	(27, 'mail turns ranked', '2026-11-28 17:29:42.991966+00', true, '\xc3593a4b248f4f7b0e42b7795738108ad845b7cc80c3a319227829b05376248eeedaf5caad770fd9611a66c675f762cf', 639213),
	(28, 'mail clients', '2026-11-28 17:29:42.992664+00', true, '\x5c12bd782aa14316f5e71bf4e605a58b0f72e40475cc32896c5e8dc26dbf9fd3abf635a029723d0721289728f992da90', 1052031),
	(29, 'mail clients by rank', '2026-11-28 17:29:42.993784+00', true, '\x8dd36a8ac88371142c7f21b74dd03d4a4bb33a990dd450f8bdd288ea41faa897ea18ae709e435ffd9524cf2da35cf3e9', 338953),
	(30, 'known networks', '2026-11-28 17:29:42.994176+00', true, '\xfeb0ce2f145210cdb6052f54a22c244971c36daf25ae720e2790697ef2c3cbddc5fc22b347caacd1c6421fec0cd30d72', 1001127),
	(31, 'known networks by age', '2026-11-28 17:29:42.995699+00', true, '\x06daa9953eed21a122d91a43de632d6fea2a7b6ec9d6213f789a9f5a4bd1f501bc7c89af1e9c33cdd06e84b19fefde48', 904319),
	(32, 'session refreshes', '2026-11-28 17:29:42.99642+00', true, '\x1f5047f3f8e013c001c61efdffa7ee62afd75fdb641ae6a617ca3e317366dcd94e2952ad5bdbf52eb00a281e2771dcb0', 390057),
	(33, 'session refreshes since', '2026-11-28 17:29:42.996849+00', true, '\x7f841c7c94d453415184ee85f92b27215256533685d5e8764b4d4d6c947fec7d49b4209116dde61af03ce9b104dd0d94', 232223),
	(41, 'claims of nodes', '2026-11-28 17:29:42.997274+00', true, '\xf9fb6c83a2e1aa3f7651c1c97230c74501166a7b0b9f29cc8004073624e03b3119db1b2f23f148554277cb1e2cf07182', 263583),
	(42, 'nodes', '2026-11-28 17:29:42.997594+00', true, '\x6dde5a9253263d38d76b9de8f1edc7cdd11e08e5a0208ad3a8bdcc08fb8f645b39f93fbd47ea708fb1aacdb10548d528', 1098286),
	(43, 'revocation kind', '2026-11-28 17:29:42.998755+00', true, '\x9f9c4936d2919e583b7cef5150d216bc4c712b83a9466a14a1facbbb1a054c631e4783150427049efbd0204620971761', 191029),
	(44, 'erased revocations', '2026-11-28 17:29:42.998991+00', true, '\xab400667f457c20cd2a2e3066e678706713f02e636a66dbda0674c08cb8db0e57443edc95df888c3a170ecc74b172a26', 871352);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES
	('01a22334-a84d-7602-81f3-85ceb33758c5', 1795886983229, 'registered', NULL, NULL, '\x71e0a8d99c5a4b06adf7c4a1a37f7ffe', '', NULL, NULL, NULL, NULL, 1, NULL, '\xee3f9ba7d7e165145ebe2e356eb40f6b8219686819f5c4b6e4db238e40daf298', '7TdQZSlvxkE', '\x2b128c56a04e9f853909372814dcb17c2228ed9a8514c64b56e506b1c3748192'),
	('01a22334-a873-7101-a837-374c80cad6a5', 1795886983279, 'verified', '883318e8-9223-4389-b31f-00dd73b3957a', '702b3b9c-6d70-4a89-8b36-0ac9b7d08f32', '\x71e0a8d99c5a4b06adf7c4a1a37f7ffe', '', NULL, NULL, NULL, NULL, 2, NULL, '\x9db9c3631cafa7b978bb370926e7793741a041cf230767815676c8603fca8cd5', '7TdQZSlvxkE', '\xbd73449c46d8fb27ddbd4ffba98bb92c1780708013b954d76a76cdebd51ef236'),
	('01a22334-a8d0-74ec-b6d7-5fc106055480', 1795886983350, 'logged_in', '883318e8-9223-4389-b31f-00dd73b3957a', '923c1131-b40a-4a36-8480-d019c394500b', NULL, '', NULL, NULL, NULL, NULL, 3, NULL, '\xae0e045d24f2bf6e697355be0b314fca3170743b15781c7eef7bd891561c6880', '7TdQZSlvxkE', '\xda189778f82ab34bf05d00b6e7f565d568a95daeeb9f58777323f28a870312bf'),
	('01a22334-a8d4-747f-bdc3-284045e330e6', 1795886983378, 'refreshed', '883318e8-9223-4389-b31f-00dd73b3957a', '923c1131-b40a-4a36-8480-d019c394500b', NULL, '', NULL, NULL, NULL, '\xc606cbbbae2e178b337727f75fe87b0b4f50935972b66687e98a8b4b917a171a', 4, NULL, '\xc7fec1cba1a876a56bdb7157559e2fe3fe5adeb2fcde7a2f46db047c18bd0ba9', '7TdQZSlvxkE', '\xed9ca272ddc73a51e124be4a4aadb07c0c37a9b632c7fb983f3d6be5a60a143a'),
	('01a22334-a943-73c7-8239-f39a4e048148', 1795886983488, 'registered', NULL, NULL, '\x89681ebd34e34265adf3f18e118b7f2b', '', NULL, NULL, NULL, NULL, 5, NULL, '\xfb3203b5004603d29fa42d4af5fabfa1c3db04730fc7c63a7fc8c2092a728eec', '7TdQZSlvxkE', '\xdc9a3ef42ac513324dba0e1a45e7759d31774a2b34b0dac314925a31cf516a82'),
	('01a22334-a95f-752c-bd62-122b5ede9758', 1795886983511, 'verified', '39a292dc-5f01-41c5-a7a5-2bd0bb193bc9', '45c2c505-d1ee-41e9-a8e0-d0929003199e', '\x89681ebd34e34265adf3f18e118b7f2b', '', NULL, NULL, NULL, NULL, 6, NULL, '\x394041455c3cc3e92434df4235f4815b730fac9116c5e0c19f12bdbe0a5c186a', '7TdQZSlvxkE', '\xbf819dee430b37887224c3caefd66db38cf901615bc0f8f74389557280bde4e9'),
	('01a22334-a964-7358-b800-436f8e0d27d1', 1795886983521, 'logged_out', '39a292dc-5f01-41c5-a7a5-2bd0bb193bc9', '45c2c505-d1ee-41e9-a8e0-d0929003199e', NULL, '', NULL, NULL, NULL, NULL, 7, NULL, '\x12e9e0932d39b592e42feea734e1c842d79261b689f4683c1c66803d5c15027b', '7TdQZSlvxkE', '\x5cc98f87745980acf6349212da316f19ca221e2105f490e5bfa252b3f9231090'),
	('01a22334-a9a7-717c-97eb-72e845a6131b', 1795886983584, 'registered', NULL, NULL, '\x3ac0bb75c3b04ee9ae4c24c197282947', '', NULL, NULL, NULL, NULL, 8, NULL, '\x8d1e53f3f86135290a195de0c17dd27b6f19e23f8b82bbc4e36e67e8e52841d4', '7TdQZSlvxkE', '\xe9804cbd789f141226598423f46f41a69c5721d332843da02c60e6d3380dc2cd'),
	('01a22334-a9c4-733b-8f27-43a9aa87ac53', 1795886983619, 'verified', '65be87b6-ea7b-4116-b835-0c819d0b38c3', 'b5fdeeaf-36e0-46bf-8a41-1a589c16f757', '\x3ac0bb75c3b04ee9ae4c24c197282947', '', NULL, NULL, NULL, NULL, 9, NULL, '\x6e4acba09e7197d485ed4b5265bc19c65ed64c89b48f6e24a055e4b2b6ae78c8', '7TdQZSlvxkE', '\x87bd463de607ddea9e8a3f4c45fc4f080509f2ffa3da6e29ee6eb21449e0fc2f'),
	('01a22334-a9e2-7431-ac78-0e73a78ca3e4', 1795886983647, 'deleted', '65be87b6-ea7b-4116-b835-0c819d0b38c3', NULL, NULL, '', NULL, NULL, NULL, NULL, 10, NULL, '\xbb7eb3c432b0f7d7646f67f14a0f50c0e946bdee5ef76a2f3fa47e50654bf5cd', '7TdQZSlvxkE', '\x6f20e086890baaa4b6d5d62b69140fefcb5bb66bbda0cb79812d4c4ba9e96d7d'),
	('01a22334-aa2b-750a-a272-1a7b49cd140e', 1795886983691, 'registered', NULL, NULL, '\x3f80392587d84f45bfbc5d944be294a4', '', NULL, NULL, NULL, NULL, 11, NULL, '\x7df539f71e59dd6d33b0b58e799f98379da920d3c2b0e69e150aa659f8134448', '7TdQZSlvxkE', '\xccfdb4e484420724ae36f168a516705b131b512629be0fc01910eff8aa4d384c'),
	('01a22334-aa3f-7396-a9d9-e8cf40e32558', 1795886983741, 'verified', '78c362dd-8969-4a4b-8432-58c961c38a6f', 'eb527fa0-003c-486d-ac56-cd30fc6979c8', '\x3f80392587d84f45bfbc5d944be294a4', '', NULL, NULL, NULL, NULL, 12, NULL, '\x384423cf92954e5f18b4dab0a5aabb390b92d3e507a642ff66990328dafdcfd5', '7TdQZSlvxkE', '\xa32064e7590cca4182376517569639d76c61b7c4e256b10524137d3aaf9e4fa6'),
	('01a22334-aa8c-71dc-8bcb-add2d80a5dbf', 1795886983816, 'disabled', '78c362dd-8969-4a4b-8432-58c961c38a6f', NULL, NULL, '', 'root', NULL, NULL, NULL, 13, NULL, '\x5521d8d488194c3d7ccc63784c152211de6aac701c0c22a7bfda687d039ec32e', '7TdQZSlvxkE', '\xf12078cfd2935bda0c2a6987f86961cad7a9271997c5ed22ec4470aba100cd7a'),
	('01a22334-aace-7511-ad6a-d8d8372e7cdb', 1795886983880, 'registered', NULL, NULL, '\x144ab24c99a7424d8e2b0c3f10080470', '', NULL, NULL, NULL, NULL, 14, NULL, '\xddc263cfdad5916b9f14a3eabfa2d6777db6ee0a4d96dc5ccd0cb04cde953aac', '7TdQZSlvxkE', '\x5ddf2dd4fd69010879500cb4d007a0b0958a4b7bf5dae5c60d36ea18813dffef'),
	('01a22334-ab60-74f4-bd19-0e133b040d7f', 1795886984026, 'registered', NULL, NULL, '\x656998dc1d6942dba991a9575f3e5455', '', NULL, NULL, NULL, NULL, 15, NULL, '\x2a983eba7b9c08203f45aaaacde45cd1ec2b371caa9cd6be270d67be349bc26b', '7TdQZSlvxkE', '\x6f283c311566831dac96cedd21d4ac563205816b46936d0249588f5de28bcc09'),
	('01a22334-ab73-72a4-8528-f7b731d85467', 1795886984050, 'verified', 'c6e2220a-e096-4279-aad6-b357a5d5f059', '60a08b0d-f77d-4595-940f-1d96b09e809c', '\x656998dc1d6942dba991a9575f3e5455', '', NULL, NULL, NULL, NULL, 16, NULL, '\xc717dad4c6c89048916dc1907bb4ee24cf168d6edfa50c9f922eef3e99426d3e', '7TdQZSlvxkE', '\xf9f65fdda4ed3fb479f1026a449ff553473fccb0ed41bac4b745c2e642193ced'),
	('01a22334-ab7f-7412-ac6d-c035d19afe9a', 1795886984057, 'reset_requested', 'c6e2220a-e096-4279-aad6-b357a5d5f059', NULL, '\xa03a04f99f7243128199885c6f1d9813', '', NULL, NULL, NULL, NULL, 17, NULL, '\xeedb6c0598a04fc51151795c874db579e5058e103b70ef76f182f8e97b89ac30', '7TdQZSlvxkE', '\xc449d65cf067dcb8a6601bbce2c8ea2b3ad22831b68e7a141624645064edc699'),
	('01a22334-abc2-77ed-907f-b0af8c916f8b', 1795886984128, 'login_failed', 'c6e2220a-e096-4279-aad6-b357a5d5f059', NULL, NULL, '', NULL, '192.0.2.7', '\x55a7136657674181a4e0fbfc741ecb76', NULL, 18, '\x7d61b3f8e2bc527e4100859bd4f7a86417134ee88fdd4ff669eafb75eab50891', '\x7d76e5e7e23720c137626faa5b17a0ecc8eefc5deb49d373a4288f312522d7b7', '7TdQZSlvxkE', '\x39a466ca702e303f1756b773b72b41049feba1d99f120d9ccab3e89b9fee71e3'),
	('01a22334-abea-7489-99a3-9c0235c783c2', 1795886984161, 'registered', NULL, NULL, '\xbb78eca8440b428882eab9a528c4a482', '', NULL, NULL, NULL, NULL, 19, NULL, '\xd6afded545e3842aedf7b914a8f6ef1c0d4ed5cd763296d5ab780714e75f305f', '7TdQZSlvxkE', '\xaa095372a2595dccfd92fb2a18e8da492dd801cdea26c0bdd8b2fcdefc15c63f'),
	('01a22334-ac04-737d-be53-832c5873c930', 1795886984194, 'verified', '1c724da2-e60e-43aa-bbc8-bd9f30c9dbf1', 'cd83b67c-edc2-4825-9594-a074ab1b9d35', '\xbb78eca8440b428882eab9a528c4a482', '', NULL, NULL, NULL, NULL, 20, NULL, '\x89e629f7483da55bcc1add2aeae89bc9ecc073b9a47d1baf95c5d8768cc342a5', '7TdQZSlvxkE', '\xb791b2db0d4eda1339bafa2fbdbb49b70f42fd3e275856f149d3342db2ca44dd'),
	('01a22334-ac3e-7129-881e-1b2260de2039', 1795886984246, 'updated', '1c724da2-e60e-43aa-bbc8-bd9f30c9dbf1', 'cd83b67c-edc2-4825-9594-a074ab1b9d35', NULL, 'email', NULL, NULL, NULL, NULL, 21, NULL, '\x96cb3ed2954f6b74039faa48421fa0e4ccfc6170f94817407e16fa4c457f43ce', '7TdQZSlvxkE', '\x628d5e5e758a45d770db6e86706352c1472129590e4aecafe2abc8b754bab59f'),
	('01a22334-acb6-76c4-b3f6-7d4e952f5174', 1795886984371, 'registered', NULL, NULL, '\x237526518ca74bf7aa61780c83eca508', '', NULL, NULL, NULL, NULL, 22, NULL, '\x18c06456a5d3655c11fd17aa21aa1ed1cf4789191cd3997315e2b64077389777', '7TdQZSlvxkE', '\x8cec16cfcf0428fae5eb33b67b0840d7014b2125420673cd561bfda5472dd8cc'),
	('01a22334-b0d7-71ba-8eec-f3d6312c23da', 1795886985429, 'login_failed', NULL, NULL, '\x3132ee7682116b86dc445475770a767223039ec9443b15fcc5dd24c859b2e8fb', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: audit_chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_chain VALUES
	(1, 22, '\x18c06456a5d3655c11fd17aa21aa1ed1cf4789191cd3997315e2b64077389777', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '7TdQZSlvxkE', '\xda02f2a31180f2619ac0bce5ff2952c0a16dd1209332a574da7b49a33f505442', 'c55eadc7-7b0e-4136-b9b3-8c1e21e23ad8', 1795886990062);


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters VALUES
	('\x4590d463e9bb6a3fb46cd7823ce513f2da240810e41223f3bd5db3ee34e99547', 0, 1795886983285, 0, 1795973383285),
	('\x564077e335557972d119eadfc22b2dd9a8620b248064e24927a3cdff31337848', 1, 1795886983350, 0, 1795890583350),
	('\x4d76cfaf17727d9a60297ca1755a18176775ff62fa8aa3352c47405a0972edb6', 0, 1795886983622, 0, 1795973383622),
	('\x550294c1a3d730ba812a4f0f1cc85e3bc66b4a12a676d7850d8c398cc134fcb9', 0, 1795886983622, 0, 1795973383622),
	('\x80aa6b9b652893ec94314ae925cb87d0c6e18c29b38d8e05f5e554e07a119834', 1, 1795886984053, 0, 1795890584053),
	('\x503ec47999a4699ef77eeef90abe13ae0a6f927aa2ba50ff4e1cc8c8a060f5f4', 1, 1795886984077, 0, 1795973384077),
	('\x9bba17f7cf3448efc284cbf3be7b88b4f9254d09a47a7f66ca04af4e7881e542', 1, 1795886984077, 1795886984077, 1795973384077),
	('\x832bf8e2bed7cd196c3f78718f08cacff83fd4dd6dd8e6a5df838293ee9ccf7b', 0, 1795886984077, 0, 1795973384077),
	('\xf23d85f7164d81c7609611ac5adb5db7d5ce788e4acc9155333b4d5d7826482b', 1, 1795886984077, 0, 1795890584077),
	('\xd087d086a16f72d03e725bfd4c4bdd6855ee3f8d14d2de03da3264454502ec88', 0, 1795886984186, 0, 1795973384186),
	('\xb96a8476c4fadec6e334919b6b46f9575b49938bba54484ce7ce1ca9e64705d3', 0, 1795886984198, 0, 1795973384198),
	('\x53964179a4068ee24383f50e197fe153dffb1ec019d19e371f986d751bd16587', 0, 1795886984198, 0, 1795973384198),
	('\xf5fef62c00128436e86608b5f10cab8b889a8c0f654f0474d0cb3c65e0aa4528', 1, 1795886984246, 0, 1795973384246),
	('\xda8768b0d63e8c0263138ff1b086bf7d83dc03668d5b74cdbe491e85654faad8', 1, 1795886984246, 0, 1795890584246),
	('\x61e371b8b55988e2c319448ab2747216a37337dee1867c1b0820f05ba7213f54', 8, 1795886983082, 0, 1795890583082),
	('\x156aba40a0b7ed19492d71296b9094f3d90f9dec4a2d6e9b72d6e6ef1bfd4a02', 1, 1795886985380, 0, 1795973385380),
	('\xb834251f40a63ea5bd6e58c2afea3970dad2aa703b3d1c74ca127541c05c5e6e', 1, 1795886985380, 0, 1795890585380);


--
-- Data for Name: erased_revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.erased_revocations VALUES
	(1, 0);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys VALUES
	('616e2075-7067-7261-6465-2773206b6579', '7TdQZSlvxkE', '\xd2a8cc368be7464b38921ec71c28e1f23238e440774f0af3966019dc787cb00b', '74e328b5-7481-4690-b4d1-ec0e13874630', 1795973384371, 1795886984371, NULL, '23752651-8ca7-4bf7-aa61-780c83eca508', NULL, NULL, NULL, NULL, 0, 'c68f9cb9-10dd-4a9a-9ff6-d71cf24f37c2');


--
-- Data for Name: known_networks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: mail_clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_clients VALUES
	('', 1795886993229);


--
-- Data for Name: mail_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_turns VALUES
	('ada@example.org', 'registration', 1795887043247, 0, NULL, 1795887043247, 0, 1795887043247),
	('bob@example.org', 'registration', 1795887043492, 0, NULL, 1795887043492, 0, 1795887043492),
	('gus@example.org', 'registration', 1795887043592, 0, NULL, 1795887043592, 0, 1795887043592),
	('gus@example.org', 'deleted', 1795890583651, 0, NULL, 1795890583651, 1, 1795890583651),
	('hal@example.org', 'registration', 1795887043724, 0, NULL, 1795887043724, 0, 1795887043724),
	('cyd@example.org', 'registration', 1795887043887, 0, NULL, 1795887043887, 0, 1795887043887),
	('eve@example.org', 'registration', 1795887044032, 0, NULL, 1795887044032, 0, 1795887044032),
	('eve@example.org', 'password_reset', 1795887044064, 0, NULL, 1795887044064, 0, 1795887044064),
	('dan@example.org', 'registration', 1795887044171, 0, NULL, 1795887044171, 0, 1795887044171),
	('daniel@example.org', 'email_change', 1795887044255, 0, NULL, 1795887044255, 0, 1795887044255),
	('fay@example.org', 'registration', 1795887044376, 0, NULL, 1795887044376, 0, 1795887044376);


--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.nodes VALUES
	('c68f9cb9-10dd-4a9a-9ff6-d71cf24f37c2', 1795886985070);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES
	('01a22334-a844-718f-86ae-23230a857caa', 'registration', '71e0a8d9-9c5a-4b06-adf7-c4a1a37f7ffe', 'ada@example.org', '', 'ada@example.org', '', 0, 1, 1795886983229, 1795886983247, 1795887043247, 1795886983267, 1795886983229, NULL, NULL, 0, 1),
	('01a22334-a943-73c7-8239-f3992f7638a1', 'registration', '89681ebd-34e3-4265-adf3-f18e118b7f2b', 'bob@example.org', '', 'bob@example.org', '', 0, 1, 1795886983488, 1795886983492, 1795887043492, 1795886983502, 1795886984229, NULL, NULL, 0, 1),
	('01a22334-a9a6-74f2-8877-0696ab282663', 'registration', '3ac0bb75-c3b0-4ee9-ae4c-24c197282947', 'gus@example.org', '', 'gus@example.org', '', 0, 1, 1795886983584, 1795886983592, 1795887043592, 1795886983612, 1795886985229, NULL, NULL, 0, 1),
	('01a22334-a9e2-7431-ac78-0e72dae23854', 'deleted', NULL, 'gus@example.org', '', 'gus@example.org', 'gus', NULL, 1, 1795886983647, 1795886983651, 1795887043651, 1795886983659, 1795886986229, NULL, NULL, 0, 1),
	('01a22334-ac3a-7070-a238-cb5b12d248df', 'email_change', '7eae95e2-9355-4ac4-9d4c-d27c3924b208', 'daniel@example.org', '', 'daniel@example.org', '', 0, 1, 1795886984246, 1795886984255, 1795887044255, 1795886984267, 1795886992229, NULL, NULL, 0, 1),
	('01a22334-aa2b-750a-a272-1a7a818b3708', 'registration', '3f803925-87d8-4f45-bfbc-5d944be294a4', 'hal@example.org', '', 'hal@example.org', '', 0, 1, 1795886983691, 1795886983724, 1795887043724, 1795886983729, 1795886987229, NULL, NULL, 0, 1),
	('01a22334-aacb-7365-bd15-6e6597677a68', 'registration', '144ab24c-99a7-424d-8e2b-0c3f10080470', 'cyd@example.org', '', 'cyd@example.org', '', 0, 1, 1795886983880, 1795886983887, 1795887043887, 1795886983896, 1795886988229, NULL, NULL, 0, 1),
	('01a22334-ab5f-7386-b645-49b7e96fdbcb', 'registration', '656998dc-1d69-42db-a991-a9575f3e5455', 'eve@example.org', '', 'eve@example.org', '', 0, 1, 1795886984026, 1795886984032, 1795887044032, 1795886984042, 1795886989229, NULL, NULL, 0, 1),
	('01a22334-ab7f-7412-ac6d-c034d11ae1bb', 'password_reset', 'a03a04f9-9f72-4312-8199-885c6f1d9813', 'eve@example.org', '', 'eve@example.org', 'eve', 0, 1, 1795886984057, 1795886984064, 1795887044064, 1795886984071, 1795886990229, NULL, NULL, 0, 1),
	('01a22334-abe5-7788-8e2b-29413286c9c0', 'registration', 'bb78eca8-440b-4288-82ea-b9a528c4a482', 'dan@example.org', '', 'dan@example.org', '', 0, 1, 1795886984161, 1795886984171, 1795887044171, 1795886984184, 1795886991229, NULL, NULL, 0, 1),
	('01a22334-acb5-7584-95c2-5efa94e61756', 'registration', '23752651-8ca7-4bf7-aa61-780c83eca508', 'fay@example.org', '', 'fay@example.org', '', 0, 1, 1795886984371, 1795886984376, 1795886988554, NULL, 1795886993229, 1795886984380, NULL, 0, 0);


--
-- Data for Name: retired_keys; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revocations OVERRIDING SYSTEM VALUE VALUES
	(1, '45c2c505-d1ee-41e9-a8e0-d0929003199e', 1795886983521, 1),
	(2, 'b5fdeeaf-36e0-46bf-8a41-1a589c16f757', 1795886983647, 1),
	(3, '65be87b6-ea7b-4116-b835-0c819d0b38c3', 1795886983647, 2),
	(4, 'eb527fa0-003c-486d-ac56-cd30fc6979c8', 1795886983816, 1);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('702b3b9c-6d70-4a89-8b36-0ac9b7d08f32', '883318e8-9223-4389-b31f-00dd73b3957a', 0, '7TdQZSlvxkE', 1795886983279, 1795886983279, NULL, NULL, 0, 0),
	('923c1131-b40a-4a36-8480-d019c394500b', '883318e8-9223-4389-b31f-00dd73b3957a', 1, '7TdQZSlvxkE', 1795886983350, 1795886983378, NULL, NULL, 1, 1795886983378),
	('60a08b0d-f77d-4595-940f-1d96b09e809c', 'c6e2220a-e096-4279-aad6-b357a5d5f059', 0, '7TdQZSlvxkE', 1795886984050, 1795886984050, NULL, NULL, 0, 0),
	('cd83b67c-edc2-4825-9594-a074ab1b9d35', '1c724da2-e60e-43aa-bbc8-bd9f30c9dbf1', 0, '7TdQZSlvxkE', 1795886984194, 1795886984194, NULL, NULL, 0, 0);


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES
	('883318e8-9223-4389-b31f-00dd73b3957a', 'ada', 'ada', 'ada@example.org', 'ada@example.org', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$FcVQlXqhmuhEBY2WKTkBig$BDYEIR5N4fayNXAznaP7nfmGfKs637U+0ote+JG1v4M', 1, NULL, 1795886983279, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('39a292dc-5f01-41c5-a7a5-2bd0bb193bc9', 'bob', 'bob', 'bob@example.org', 'bob@example.org', 'bob@example.org', '$argon2id$v=19$m=19456,t=2,p=1$mz50NSdB677eBhoD+FfP5g$JrrOoZrU6OyJVU9hZnY2jxEgUMOenoVms/h//5KdHWQ', 1, NULL, 1795886983511, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('78c362dd-8969-4a4b-8432-58c961c38a6f', 'hal', 'hal', 'hal@example.org', 'hal@example.org', 'hal@example.org', '$argon2id$v=19$m=19456,t=2,p=1$f/jkZ3DcCi7Kf7Ai0PDoWQ$pVwifFIX7wbQZtUWeQ3H4UoI+L8wBUbDDaZaF1pKZfI', 2, 1795886983816, 1795886983741, '$argon2id$v=19$m=19456,t=2,p=1', 2, 1795886983816),
	('c6e2220a-e096-4279-aad6-b357a5d5f059', 'eve', 'eve', 'eve@example.org', 'eve@example.org', 'eve@example.org', '$argon2id$v=19$m=19456,t=2,p=1$Q/D3YpDBOWvLMH7ga+Ue4A$Ws/lq49sLSS/0y6EuhykIdqjx3Yxr+iD1sQM8v8pZjk', 1, NULL, 1795886984050, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('1c724da2-e60e-43aa-bbc8-bd9f30c9dbf1', 'dan', 'dan', 'dan@example.org', 'dan@example.org', 'dan@example.org', '$argon2id$v=19$m=19456,t=2,p=1$NlgUl61a/fbda9M7uUOBxw$JTKMuysW/cx43WJNXFdCgUZwpb+3FRNG8NkzgkXk+So', 1, NULL, 1795886984194, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL);


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES
	('23752651-8ca7-4bf7-aa61-780c83eca508', 'registration', NULL, 'fay', 'fay', 'fay@example.org', 'fay@example.org', 'fay@example.org', 'fay@example.org', '$argon2id$v=19$m=19456,t=2,p=1$KvxYhXhDc5F1EDgsp1oSDg$jY+moipTihSos5V3BHB0+w1x9uYi/KvmOtG+F8seXc0', 0, '7TdQZSlvxkE', 0, 0, 1795886984376, 1795887884376, 1795886984371, 1795886984371, 0, ''),
	('144ab24c-99a7-424d-8e2b-0c3f10080470', 'registration', NULL, 'cyd', 'cyd', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', '$argon2id$v=19$m=19456,t=2,p=1$JfS1sjGTjKye9nAyWrd9Lg$Qxweeh+y3htcfnaVib3i4//A2unnUK2HL0EK1dX4wls', 0, '7TdQZSlvxkE', 0, 0, 1795886983887, 1795887883887, 1795886983880, 1795886983880, 0, ''),
	('a03a04f9-9f72-4312-8199-885c6f1d9813', 'password_reset', 'c6e2220a-e096-4279-aad6-b357a5d5f059', NULL, NULL, 'eve@example.org', 'eve@example.org', 'eve@example.org', 'eve@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795886984064, 1795887884064, 1795886984057, 1795886984057, 0, ''),
	('7eae95e2-9355-4ac4-9d4c-d27c3924b208', 'email_change', '1c724da2-e60e-43aa-bbc8-bd9f30c9dbf1', NULL, NULL, 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795886984255, 1795887884255, 1795886984246, 1795886984246, 0, '');


--
-- Name: revocations_seq_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.revocations_seq_seq', 4, true);


--
-- Name: _sqlx_migrations _sqlx_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);


--
-- Name: audit_chain audit_chain_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_chain
    ADD CONSTRAINT audit_chain_pkey PRIMARY KEY (id);


--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);


--
-- Name: counters counters_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (key);


--
-- Name: erased_revocations erased_revocations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.erased_revocations
    ADD CONSTRAINT erased_revocations_pkey PRIMARY KEY (id);


--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);


--
-- Name: known_networks known_networks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.known_networks
    ADD CONSTRAINT known_networks_pkey PRIMARY KEY (user_id, client);


--
-- Name: mail_clients mail_clients_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.mail_clients
    ADD CONSTRAINT mail_clients_pkey PRIMARY KEY (client);


--
-- Name: mail_turns mail_turns_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.mail_turns
    ADD CONSTRAINT mail_turns_pkey PRIMARY KEY (budget_key, letter);


--
-- Name: nodes nodes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);


--
-- Name: retired_keys retired_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.retired_keys
    ADD CONSTRAINT retired_keys_pkey PRIMARY KEY (kid);


--
-- Name: revocations revocations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (seq);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);


--
-- Name: users users_email_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key_key UNIQUE (email_key);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: users users_username_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_username_key_key UNIQUE (username_key);


--
-- Name: verifications verifications_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (id);


--
-- Name: audit_by_kind; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_kind ON public.audit USING btree (kind, at);


--
-- Name: audit_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_subject ON public.audit USING btree (subject) WHERE (subject IS NOT NULL);


--
-- Name: audit_by_time; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_time ON public.audit USING btree (at, id);


--
-- Name: audit_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_user ON public.audit USING btree (user_id, at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_chained; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX audit_chained ON public.audit USING btree (seq) WHERE (seq IS NOT NULL);


--
-- Name: audit_once; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX audit_once ON public.audit USING btree (dedup) WHERE (dedup IS NOT NULL);


--
-- Name: audit_unsealed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_unsealed ON public.audit USING btree (at, id) WHERE (seq IS NULL);


--
-- Name: counters_by_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX counters_by_expiry ON public.counters USING btree (expires_at);


--
-- Name: idempotency_keys_by_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_keys_by_expiry ON public.idempotency_keys USING btree (expires_at);


--
-- Name: known_networks_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX known_networks_by_age ON public.known_networks USING btree (opened_at);


--
-- Name: mail_clients_by_rank; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_clients_by_rank ON public.mail_clients USING btree (rank);


--
-- Name: mail_turns_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_turns_by_age ON public.mail_turns USING btree (next_at) WHERE (waiting = 0);


--
-- Name: mail_turns_next; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_turns_next ON public.mail_turns USING btree (next_at) WHERE (waiting > 0);


--
-- Name: mail_turns_ranked; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_turns_ranked ON public.mail_turns USING btree (notice, rank) WHERE (waiting > 0);


--
-- Name: outbox_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_by_age ON public.outbox USING btree (created_at);


--
-- Name: outbox_by_verification; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_by_verification ON public.outbox USING btree (verification_id) WHERE ((verification_id IS NOT NULL) AND (turn_at IS NULL));


--
-- Name: outbox_delivered; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_delivered ON public.outbox USING btree (settled_at) WHERE (delivered = 1);


--
-- Name: outbox_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_due ON public.outbox USING btree (due_at) WHERE ((turn_at IS NOT NULL) AND (settled_at IS NULL));


--
-- Name: outbox_failed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_failed ON public.outbox USING btree (failed_at) WHERE (failed_domain IS NOT NULL);


--
-- Name: outbox_turns; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_turns ON public.outbox USING btree (budget_key, letter, turn_at) WHERE (turn_at IS NOT NULL);


--
-- Name: outbox_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_waiting ON public.outbox USING btree (budget_key, letter, client, created_at) WHERE ((turn_at IS NULL) AND (settled_at IS NULL));


--
-- Name: revocations_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX revocations_by_age ON public.revocations USING btree (at);


--
-- Name: sessions_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_age ON public.sessions USING btree (rotated_at);


--
-- Name: sessions_by_birth; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_birth ON public.sessions USING btree (created_at);


--
-- Name: sessions_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_user ON public.sessions USING btree (user_id, rotated_at);


--
-- Name: users_by_change; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX users_by_change ON public.users USING btree (changed_at) WHERE (changed_at IS NOT NULL);


--
-- Name: users_by_hash_class; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX users_by_hash_class ON public.users USING btree (hash_class);


--
-- Name: verifications_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX verifications_by_age ON public.verifications USING btree (created_at);


--
-- Name: verifications_by_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX verifications_by_client ON public.verifications USING btree (client, created_at);


--
-- Name: verifications_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX verifications_by_user ON public.verifications USING btree (user_id) WHERE (user_id IS NOT NULL);


--
-- Name: known_networks known_networks_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.known_networks
    ADD CONSTRAINT known_networks_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: sessions sessions_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: verifications verifications_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


