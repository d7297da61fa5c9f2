-- Studies that were read and delivered, as rows. Python has filled the temporary table
-- study(n, uid, at); the audit lines have no valid hashes.
INSERT INTO studies (study_instance_uid, first_received_at, last_received_at, revision)
SELECT uid, at, at, 1 FROM study;

INSERT INTO jobs (
    id, study_instance_uid, revision, status, attempt, created_at, due_at, started_at, finished_at
)
SELECT n + 1, uid, 1, 'done', 1, at, at, at, at FROM study;

INSERT INTO instances (
    sop_instance_uid, sop_class_uid, study_instance_uid, series_instance_uid, transfer_syntax_uid,
    path, size, sha256, calling_ae_title, received_at, decision, job_id
)
SELECT
    uid || '.1.1', '1.2.840.10008.5.1.4.1.1.1', uid, uid || '.1', '1.2.840.10008.1.2.1',
    'spool/instances/' || n, 10240000, printf('%064x', n), 'CR' || (n % 7), at, 'read', n + 1
FROM study;

CREATE TEMP TABLE kind AS SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3;

INSERT INTO results (
    sop_instance_uid, source_sop_instance_uid, study_instance_uid, sop_class_uid,
    series_instance_uid, modality, series_description, path, composed_at
)
SELECT
    uid || '.2.' || k, uid || '.1.1', uid, '1.2.840.10008.5.1.4.1.1.7', uid || '.2', 'OT', 'AI',
    'results/' || n, at
FROM study, kind;

INSERT INTO deliveries (
    sop_instance_uid, study_instance_uid, destination, status, attempt, due_at, accepted_at,
    committed_at, committed_by
)
SELECT uid || '.2.' || k, uid, 'pacs', 'committed', 1, at, at, at, 'commitment' FROM study, kind;

CREATE TEMP TABLE line AS
WITH RECURSIVE each(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM each WHERE k < 19) SELECT k FROM each;

INSERT INTO audit (sequence, at, kind, study_instance_uid, detail, previous_hash, hash)
SELECT
    20 * n + k + 1, at, 'instance-received', uid, '{"calling":"CR1","size":10240000}',
    printf('%064x', 20 * n + k), printf('%064x', 20 * n + k + 1)
FROM study, line;
