BEGIN TRANSACTION;
CREATE TABLE assets (
	sha256 TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	bytes BIGINT NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	duration_seconds TEXT, 
	frames_per_second TEXT, 
	has_sound BOOLEAN, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_assets PRIMARY KEY (sha256)
);
INSERT INTO "assets" VALUES('87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b','image/png',10,1360,768,NULL,NULL,NULL,'2026-10-22 12:00:00.000000');
CREATE TABLE attempts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	generation_key TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	settled_run_id TEXT, 
	service TEXT NOT NULL, 
	model TEXT NOT NULL, 
	prediction_id TEXT, 
	estimated BIGINT NOT NULL, 
	reserved BIGINT NOT NULL, 
	charged BIGINT, 
	refunded BIGINT NOT NULL, 
	list_price BIGINT, 
	discounted_price BIGINT, 
	error_code TEXT, 
	error TEXT, 
	held_reason TEXT, 
	owner TEXT NOT NULL, 
	lease TEXT NOT NULL, 
	intent_lease TEXT, 
	body JSON, 
	input_sha256s JSON, 
	outputs JSON, 
	nsfw JSON, 
	reserved_at DATETIME NOT NULL, 
	intent_at DATETIME, 
	submitted_at DATETIME, 
	completed_at DATETIME, 
	stored_at DATETIME, 
	failed_at DATETIME, 
	held_at DATETIME, 
	unknown_at DATETIME, 
	withdrawn_at DATETIME, 
	settled_at DATETIME, 
	service_created_at DATETIME, 
	detected_at DATETIME, 
	request_timeout_s FLOAT, 
	queue_s FLOAT, 
	upload_s FLOAT, 
	submit_s FLOAT, 
	inference_s FLOAT, 
	detect_s FLOAT, 
	download_s FLOAT, 
	polls INTEGER NOT NULL, account TEXT, balance_before BIGINT, balance_at DATETIME, skew_low FLOAT, skew_high FLOAT, reply TEXT, resent INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT ck_attempts_state CHECK (state IN ('reserved', 'intent', 'unknown', 'submitted', 'completed', 'held', 'stored', 'failed', 'withdrawn')), 
	CONSTRAINT ck_attempts_amounts CHECK (estimated >= 0 AND reserved >= 0 AND charged >= 0 AND refunded >= 0), 
	CONSTRAINT fk_attempts_generation_key FOREIGN KEY(generation_key) REFERENCES generations ("key"), 
	CONSTRAINT fk_attempts_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_attempts_settled_run_id FOREIGN KEY(settled_run_id) REFERENCES runs (id), 
	CONSTRAINT uq_attempts_generation_key_number UNIQUE (generation_key, number), 
	CONSTRAINT uq_attempts_service_prediction_id UNIQUE (service, prediction_id)
);
INSERT INTO "attempts" VALUES(1,'c0d03c1239e01842d73cf046314bdc7de6e5d3280afc9776262f78be40a95bab',1,'reserved','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit',NULL,28000,28000,NULL,0,NULL,NULL,NULL,NULL,NULL,'2789101f1a8348668d7d5b6dfd22bc2d','4b6b6670bdfe4999853fa70662ad1a62',NULL,NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(2,'282bcbc3f0a34a8a4ac6f00c276fcf66cf3757a3332e83d92208e5079af46922',1,'intent','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit',NULL,28000,28000,NULL,0,NULL,NULL,NULL,NULL,NULL,'2789101f1a8348668d7d5b6dfd22bc2d','a45442345a2f4084ad12ff8bc1a4dc39','a45442345a2f4084ad12ff8bc1a4dc39','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]',NULL,NULL,'2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(3,'e06f8cfc39f12aa98dffbc04587ed1a5cf4d65889ec9b02d4cf4b9b94df22e69',1,'submitted','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit','prediction-of-e06f8cfc39f12aa98dffbc04587ed1a5cf4d65889ec9b02d4cf4b9b94df22e69',28000,28000,NULL,0,NULL,NULL,NULL,NULL,NULL,'2789101f1a8348668d7d5b6dfd22bc2d','2cc62c606a66401582a9c34763dcec5b','2cc62c606a66401582a9c34763dcec5b','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]',NULL,NULL,'2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(4,'4ddb3e96801a1ee2b77dc5247c0db478d5f97a93b90e7cdb09f5f51d43764b08',1,'completed','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit','prediction-of-4ddb3e96801a1ee2b77dc5247c0db478d5f97a93b90e7cdb09f5f51d43764b08',28000,28000,NULL,0,NULL,NULL,NULL,NULL,NULL,'2789101f1a8348668d7d5b6dfd22bc2d','38d45e218bae43a4a196e36d8dc5dddb','38d45e218bae43a4a196e36d8dc5dddb','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]','["https://cdn.example.org/1.png"]','[false]','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(5,'87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b',1,'stored','20261022-120000-spring-337a','20261022-120000-spring-337a','https://api.example.org','kwaivgi/kling-image-v3/edit','prediction-of-87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b',28000,28000,28000,0,NULL,NULL,NULL,NULL,NULL,'2789101f1a8348668d7d5b6dfd22bc2d','24b1334c02994f38a2cd179c87245dd7','24b1334c02994f38a2cd179c87245dd7','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]','["https://cdn.example.org/1.png"]','[false]','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(6,'b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc',1,'unknown','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit',NULL,28000,28000,NULL,0,NULL,NULL,NULL,'no reply',NULL,'2789101f1a8348668d7d5b6dfd22bc2d','279346337cc14c77abb7459a394ed152','279346337cc14c77abb7459a394ed152','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]',NULL,NULL,'2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,'lost',0);
INSERT INTO "attempts" VALUES(7,'5d28a90f4498a81461efbaf6f628a19d9778390bb5c81a393dd936181cc3d826',1,'failed','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit','prediction-of-5d28a90f4498a81461efbaf6f628a19d9778390bb5c81a393dd936181cc3d826',28000,28000,NULL,0,NULL,NULL,'1403','failed',NULL,'2789101f1a8348668d7d5b6dfd22bc2d','01d65714bc1e4d7e803722bcebeb1b1d','01d65714bc1e4d7e803722bcebeb1b1d','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]',NULL,NULL,'2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(8,'c20dea4d876b5b8fb0a1814b43017030cea6d4ac30b2d9ae71b404d2faba49b5',1,'held','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit',NULL,28000,28000,NULL,0,NULL,NULL,NULL,NULL,'look at it','2789101f1a8348668d7d5b6dfd22bc2d','52d76dd3343f4f2bbd067075b9a8a3ee','52d76dd3343f4f2bbd067075b9a8a3ee','{"prompt": "p"}','["c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"]',NULL,NULL,'2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,30.0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
INSERT INTO "attempts" VALUES(9,'fd60c459d03b66a8600f5c72ca868c83ad2708810fa3140b03abb35b3b91d931',1,'withdrawn','20261022-120000-spring-337a',NULL,'https://api.example.org','kwaivgi/kling-image-v3/edit',NULL,28000,0,NULL,0,NULL,NULL,NULL,'not wanted',NULL,'2789101f1a8348668d7d5b6dfd22bc2d','f9de0454514b4dc5935b4cca2a9f97fe',NULL,NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,0);
CREATE TABLE generation_assets (
	generation_key TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	flagged_nsfw BOOLEAN NOT NULL, 
	CONSTRAINT pk_generation_assets PRIMARY KEY (generation_key, position), 
	CONSTRAINT fk_generation_assets_generation_key FOREIGN KEY(generation_key) REFERENCES generations ("key"), 
	CONSTRAINT fk_generation_assets_sha256 FOREIGN KEY(sha256) REFERENCES assets (sha256)
);
INSERT INTO "generation_assets" VALUES('87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b',1,'87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b',0);
CREATE TABLE generations (
	"key" TEXT NOT NULL, 
	service TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	model TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	request JSON NOT NULL, 
	inputs JSON NOT NULL, 
	take INTEGER NOT NULL, 
	prompt TEXT NOT NULL, 
	state TEXT NOT NULL, 
	lease_owner TEXT, 
	lease_token TEXT, 
	lease_run TEXT, 
	leased_at DATETIME, 
	created_at DATETIME NOT NULL, 
	stored_at DATETIME, 
	stored_by_run TEXT, 
	CONSTRAINT pk_generations PRIMARY KEY ("key"), 
	CONSTRAINT ck_generations_state CHECK (state IN ('open', 'stored')), 
	CONSTRAINT fk_generations_lease_owner FOREIGN KEY(lease_owner) REFERENCES owners (id), 
	CONSTRAINT fk_generations_lease_run FOREIGN KEY(lease_run) REFERENCES runs (id), 
	CONSTRAINT fk_generations_stored_by_run FOREIGN KEY(stored_by_run) REFERENCES runs (id)
);
INSERT INTO "generations" VALUES('c0d03c1239e01842d73cf046314bdc7de6e5d3280afc9776262f78be40a95bab','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "reserved", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'reserved','open','2789101f1a8348668d7d5b6dfd22bc2d','4b6b6670bdfe4999853fa70662ad1a62','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('282bcbc3f0a34a8a4ac6f00c276fcf66cf3757a3332e83d92208e5079af46922','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "intent", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'intent','open','2789101f1a8348668d7d5b6dfd22bc2d','a45442345a2f4084ad12ff8bc1a4dc39','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('e06f8cfc39f12aa98dffbc04587ed1a5cf4d65889ec9b02d4cf4b9b94df22e69','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "submitted", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'submitted','open','2789101f1a8348668d7d5b6dfd22bc2d','2cc62c606a66401582a9c34763dcec5b','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('4ddb3e96801a1ee2b77dc5247c0db478d5f97a93b90e7cdb09f5f51d43764b08','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "completed", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'completed','open','2789101f1a8348668d7d5b6dfd22bc2d','38d45e218bae43a4a196e36d8dc5dddb','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "stored", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'stored','stored',NULL,NULL,NULL,NULL,'2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000','20261022-120000-spring-337a');
INSERT INTO "generations" VALUES('b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "unknown", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'unknown','open','2789101f1a8348668d7d5b6dfd22bc2d','279346337cc14c77abb7459a394ed152','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('5d28a90f4498a81461efbaf6f628a19d9778390bb5c81a393dd936181cc3d826','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "failed", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'failed','open','2789101f1a8348668d7d5b6dfd22bc2d','01d65714bc1e4d7e803722bcebeb1b1d','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('c20dea4d876b5b8fb0a1814b43017030cea6d4ac30b2d9ae71b404d2faba49b5','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "held", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'held','open','2789101f1a8348668d7d5b6dfd22bc2d','52d76dd3343f4f2bbd067075b9a8a3ee','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
INSERT INTO "generations" VALUES('fd60c459d03b66a8600f5c72ca868c83ad2708810fa3140b03abb35b3b91d931','https://api.example.org','simulator','kwaivgi/kling-image-v3/edit','edit','{"prompt": "withdrawn", "num_images": 1}','[{"role": "image", "sha256": "c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20"}]',1,'withdrawn','open','2789101f1a8348668d7d5b6dfd22bc2d','f9de0454514b4dc5935b4cca2a9f97fe','20261022-120000-spring-337a','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000',NULL,NULL);
CREATE TABLE ledger_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ledger_version" VALUES('0003');
CREATE TABLE owners (
	id TEXT NOT NULL, 
	host TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	process_start TEXT NOT NULL, 
	registered_at DATETIME NOT NULL, 
	heartbeat_at DATETIME NOT NULL, 
	CONSTRAINT pk_owners PRIMARY KEY (id)
);
INSERT INTO "owners" VALUES('2789101f1a8348668d7d5b6dfd22bc2d','another machine',1,'1','2026-10-22 12:00:00.000000','2026-10-22 12:00:00.000000');
CREATE TABLE remembered_inputs (
	address_sha256 TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	facts JSON NOT NULL, 
	read_at DATETIME NOT NULL, 
	CONSTRAINT pk_remembered_inputs PRIMARY KEY (address_sha256, kind)
);
INSERT INTO "remembered_inputs" VALUES('15b05d5cea9e9da48c15c7c505d94fea782196b10dab118651d619f6415ad8b4','picture','ab','{"media_type": "image/png", "width": 1360}','2026-10-22 12:00:00.000000');
CREATE TABLE runs (
	id TEXT NOT NULL, 
	campaign TEXT NOT NULL, 
	csv_path TEXT NOT NULL, 
	csv_sha256 TEXT NOT NULL, 
	service TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	out TEXT NOT NULL, 
	budget BIGINT, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	exit_status INTEGER, 
	flow_run_id TEXT, 
	record TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (id)
);
INSERT INTO "runs" VALUES('20261022-120000-spring-337a','spring','spring.csv','53bb9b0b38ac812554abeb88ea6d56760d07ec147a75e8761c4f57ecc298218f','https://api.example.org','wavespeed','runs',1000000,'2026-10-22 12:00:00.000000',NULL,NULL,NULL,NULL);
CREATE TABLE uploads (
	origin TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	url TEXT NOT NULL, 
	uploaded_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_uploads PRIMARY KEY (origin, sha256)
);
INSERT INTO "uploads" VALUES('https://api.example.org','c96c6d5be8d08a12e7b5cdc1b207fa6b2430974c86803d8891675e76fd992c20','https://media.example.org/uploads/input.png','2026-10-22 12:00:00.000000','2026-10-29 12:00:00.000000');
CREATE INDEX ix_runs_started_at ON runs (started_at);
CREATE INDEX ix_generations_lease_owner ON generations (lease_owner);
CREATE INDEX ix_attempts_reserved_at ON attempts (reserved_at);
CREATE INDEX ix_attempts_run_id ON attempts (run_id);
CREATE INDEX ix_attempts_service_model_state ON attempts (service, model, state);
CREATE INDEX ix_attempts_settled_run_id ON attempts (settled_run_id);
CREATE UNIQUE INDEX uq_attempts_one_living ON attempts (generation_key) WHERE state IN ('reserved', 'intent', 'unknown', 'submitted', 'completed', 'held');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('attempts',9);
COMMIT;
