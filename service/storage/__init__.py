"""The picture room: where stored pictures lie, and where bytes are found to be pictures.

Here live the folder and the S3 store (R2 is one) behind the `Blobs` port, and Pillow behind `Pictures`.
Blobs are immutable and named by their SHA-256; nothing here deletes or rewrites one, knows jobs, or runs on
the event loop: every call goes through a bounded pool of threads. boto3, botocore and Pillow stay inside,
their exceptions too. `app` builds these and hands them up as ports; nobody else comes in.
"""
