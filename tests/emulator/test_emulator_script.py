"""The calls that a script's rules apply to."""

from octopus_soap.emulator import Status


def statuses(shop, count, operation="IsSkuExist", inner="<sku>A-1</sku>"):
    return [shop.call(operation, inner).status for _ in range(count)]


def test_nth_every_after_and_times(shop):
    script = shop.service.script
    script.on("IsSkuExist", nth=2).do(Status(503))
    assert statuses(shop, 3) == [200, 503, 200]
    script.clear()
    script.on("IsSkuExist", nth=[1, 3]).do(Status(503))
    assert statuses(shop, 4) == [503, 200, 503, 200]
    script.clear()
    script.on("*", every=2).times(2).do(Status(503))
    assert statuses(shop, 7) == [200, 503, 200, 503, 200, 200, 200]
    script.clear()
    rule = script.on("*", after=2).do(Status(503))
    assert statuses(shop, 4) == [200, 200, 503, 503]
    assert (rule.seen, rule.hits) == (4, 2)


def test_names_and_patterns(shop):
    shop.service.script.on("Get*").do(Status(503))
    assert statuses(shop, 1) == [200]
    assert statuses(shop, 1, "GetItemQuantity") == [503]


def test_probability_is_seeded_per_rule(shop):
    seen = []
    for _ in range(2):
        shop.service.script.clear()
        shop.service.script.on("*", probability=0.5, seed=7).do(Status(503))
        seen.append(statuses(shop, 12))
    assert seen[0] == seen[1]
    assert set(seen[0]) == {200, 503}


def test_keys_poison_every_request_that_names_them(shop):
    shop.service.script.on("*", key="A-2").do(Status(503))
    assert shop.call("GetItemList", shop.skus("A-1", "A-2")).status == 503
    assert shop.call("GetItemList", shop.skus("A-1")).status == 200
    assert shop.call("UpdateItemQuantityAndPrice", "<iQP><d:Sku>A-2</d:Sku></iQP>").status == 503
    assert shop.call("IsSkuExist", "<sku>A-2</sku>").status == 503
    assert (
        shop.call(
            "UploadItem",
            "<inventoryItem><d:KitList><d:KitInfo><d:SKU>A-2</d:SKU></d:KitInfo></d:KitList><d:Sku>K</d:Sku></inventoryItem>",
        ).status
        == 200
    )


def test_predicates_see_the_call(shop):
    shop.service.script.on("*", when=lambda call: call.items > 2, merchant="emulated-shop").do(Status(503))
    shop.service.script.on("*", merchant="somebody-else").do(Status(404))
    assert shop.call("IsSkuExistList", shop.skus("1", "2")).status == 200
    assert shop.call("IsSkuExistList", shop.skus("1", "2", "3")).status == 503


def test_the_first_rule_that_is_due_strikes_and_the_others_go_on_counting(shop):
    first = shop.service.script.on("*", nth=1).do(Status(502))
    second = shop.service.script.on("*").times(1).do(Status(503))
    assert statuses(shop, 3) == [502, 503, 200]
    assert (first.seen, second.seen, second.hits) == (3, 3, 1)
    assert [call.fault is not None for call in shop.service.calls] == [True, True, False]


def test_a_rule_without_faults_does_nothing(shop):
    shop.service.script.on("*")
    assert statuses(shop, 1) == [200]
    assert len(shop.service.script.rules) == 1
