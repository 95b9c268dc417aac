"""Uploads of artifacts in parts that nobody completed: the service throws them away after a day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from registry_tui.schemas.stores import DirectoryAddress, DirectoryStore
from registry_tui.service.core.own_stores import new_row
from registry_tui.service.database.tables import EnvironmentRow
from registry_tui.service.stores.s3_bucket import S3Bucket
from registry_tui.service.tracking import artifact_uploads
from support.bare import bare_service, make_place
from support.other_stores import BUCKET, moto


def test_uploads_of_every_environment_end_a_day_after_they_were_begun(tmp_path: Path) -> None:
    with moto() as server:
        client = server.open().client
        stores = SimpleNamespace(objects=SimpleNamespace(s3=lambda key: client))
        with bare_service(tmp_path, stores=stores) as service:
            for name in ("one", "two", "away"):
                make_place(service, name)
            with service.database.session() as session:
                for row in session.query(EnvironmentRow):
                    row.bucket = BUCKET if row.name == "one" else f"no-such-bucket-{row.name}"
                    if row.name == "away":
                        address = DirectoryAddress(path=str(tmp_path / "not mounted"))
                        row.store = new_row(row.id, DirectoryStore(address=address), [])
            bucket = S3Bucket(client, BUCKET)
            for key in ("workspaces/wine/1/run/artifacts/left.bin", "modelregistry/a/b/files/archive.bin"):
                assert bucket.begin_upload(key, 1, 60) is not None
            # moto reports that every upload was begun at one moment of 2010.
            (begun, _) = (each["Initiated"] for each in client.list_multipart_uploads(Bucket=BUCKET)["Uploads"])
            assert artifact_uploads.abort_abandoned(service, begun + timedelta(hours=23)) == 0
            assert artifact_uploads.abort_abandoned(service, begun + timedelta(hours=25)) == 1
            left = client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
            assert [each["Key"] for each in left] == ["modelregistry/a/b/files/archive.bin"]
