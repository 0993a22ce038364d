<?php
// PHP's own SOAP extension as a service, under `php -S`: OCTOPUS_SCRIPT names the script.
$script = json_decode(file_get_contents(getenv("OCTOPUS_SCRIPT")), true);

// The items of a list go under the name of their element; $key is the name of the list.
function named($value, $items, $key = "") {
    if (!is_array($value)) {
        return $value;
    }
    if (array_is_list($value)) {
        return [$items[$key] => array_map(fn($row) => named($row, $items), $value)];
    }
    $made = [];
    foreach ($value as $name => $inner) {
        $made[$name] = named($inner, $items, $name);
    }
    return $made;
}

class OctopusService {
    public function __construct(private array $script) {
    }

    public function __call($operation, $arguments) {
        $line = json_encode(["operation" => $operation, "parameters" => $arguments[0]], JSON_UNESCAPED_UNICODE);
        file_put_contents($this->script["received"], "$line\n", FILE_APPEND | LOCK_EX);
        if (!array_key_exists($operation, $this->script["answers"])) {
            return [];
        }
        $items = $this->script["items"] + ["ResultData" => $this->script["rows"][$operation] ?? ""];
        return ["{$operation}Result" => named($this->script["answers"][$operation], $items)];
    }
}

$server = new SoapServer($script["wsdl"], ["cache_wsdl" => WSDL_CACHE_MEMORY, "features" => SOAP_SINGLE_ELEMENT_ARRAYS]);
$server->setObject(new OctopusService($script));
$server->handle();
