"""The stock client of Apache Ranger creates, reads, changes and deletes policies of this service."""

from __future__ import annotations

import pytest
from apache_ranger.client.ranger_client import RangerClient
from apache_ranger.exceptions import RangerServiceException
from apache_ranger.model.ranger_policy import (
    RangerPolicy,
    RangerPolicyItem,
    RangerPolicyItemAccess,
    RangerPolicyResource,
)

from support.forwarding import forwarded
from support.platforms import Platform, unique


def test_the_stock_client_works_on_policies(platform: Platform) -> None:
    with forwarded(platform.home.service_socket) as url:
        client = RangerClient(url, ("anybody", "nothing"))
        assert "cm_s3" in [each.name for each in client.find_services()]
        assert client.get_service("cm_s3").type == "s3"
        levels = [each.name for each in client.get_service_def("s3").resources]
        assert levels == ["bucket", "path"]

        wanted = RangerPolicy()
        wanted.service, wanted.name = "cm_s3", unique("stock")
        wanted.resources = {
            "bucket": RangerPolicyResource({"values": ["lake"]}),
            "path": RangerPolicyResource({"values": ["raw/", "clean"], "isRecursive": True}),
        }
        item = RangerPolicyItem()
        item.users, item.accesses = ["ana"], [RangerPolicyItemAccess({"type": "read"})]
        denial = RangerPolicyItem()
        denial.groups, denial.accesses = ["interns"], [RangerPolicyItemAccess({"type": "delete"})]
        wanted.policyItems, wanted.denyPolicyItems = [item], [denial]
        made = client.create_policy(wanted)
        assert made.id > 0 and made.version == 1 and made.guid

        found = client.get_policy_by_id(made.id)
        assert found.name == wanted.name and found.resources["path"].values == ["raw/", "clean"]
        assert client.get_policy("cm_s3", wanted.name).id == made.id
        assert made.id in [each.id for each in client.get_policies_in_service("cm_s3")]
        assert [each.id for each in client.find_policies({"policyName": wanted.name})] == [made.id]

        found.policyItems[0].accesses.append(RangerPolicyItemAccess({"type": "write"}))
        found.isEnabled = False
        changed = client.update_policy_by_id(made.id, found)
        assert changed.version == 2 and not changed.isEnabled
        assert [access.type for access in changed.policyItems[0].accesses] == ["read", "write"]
        changed.description = "changed by its name"
        assert client.update_policy("cm_s3", wanted.name, changed).version == 3

        wrong = RangerPolicy({**wanted, "name": unique("wrong"), "resources": {}})
        with pytest.raises(RangerServiceException, match=r"resources\.bucket: is missing"):
            client.create_policy(wrong)
        client.delete_policy_by_id(made.id)
        assert client.get_policy_by_id(made.id) is None

        again = client.create_policy(wanted)
        assert again.id != made.id
        client.delete_policy("cm_s3", wanted.name)
        assert client.get_policy_by_id(again.id) is None
